"""What the client asks of a service."""

from __future__ import annotations

from service.client_requests import Operation

OPERATIONS = {
    "list_runs": Operation("GET", "/v1/runs"),
    "get_run": Operation("GET", "/v1/runs/{run}"),
    "delete_run": Operation("DELETE", "/v1/runs/{run}"),
    "get_overview": Operation("GET", "/v1/runs/{run}/overview"),
    "get_layer_map": Operation("GET", "/v1/runs/{run}/layers"),
    "list_neurons": Operation("GET", "/v1/runs/{run}/neurons"),
    "get_neuron": Operation("GET", "/v1/runs/{run}/neurons/{address}"),
    "find_concept": Operation("GET", "/v1/runs/{run}/concepts"),
    "list_descriptors": Operation("GET", "/v1/runs/{run}/descriptors"),
    "get_descriptor": Operation("GET", "/v1/runs/{run}/descriptors/{descriptor}"),
    "list_sentences": Operation("GET", "/v1/runs/{run}/descriptors/{descriptor}/sentences"),
    "list_edits": Operation("GET", "/v1/runs/{run}/edits"),
    "edit_descriptors": Operation("POST", "/v1/runs/{run}/edits"),
    "explain_text": Operation("POST", "/v1/explain"),
    "list_figures": Operation("GET", "/v1/runs/{run}/evaluation"),
    "export_run": Operation("GET", "/v1/runs/{run}/export/{table}.{table_format}"),
    "get_report": Operation("GET", "/v1/runs/{run}/report"),
    "submit_job": Operation("POST", "/v1/jobs"),
    "list_jobs": Operation("GET", "/v1/jobs"),
    "get_job": Operation("GET", "/v1/jobs/{job}"),
    "cancel_job": Operation("POST", "/v1/jobs/{job}/cancel"),
    "follow_job": Operation("GET", "/v1/jobs/{job}/events"),
    "read_log": Operation("GET", "/v1/jobs/{job}/log"),
    "send_upload": Operation("POST", "/v1/uploads"),
    "list_uploads": Operation("GET", "/v1/uploads"),
    "get_upload": Operation("GET", "/v1/uploads/{upload}"),
    "delete_upload": Operation("DELETE", "/v1/uploads/{upload}"),
}
"""Every operation of the API, by the operation ids of the OpenAPI document."""
