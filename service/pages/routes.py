"""The pages of the service."""

from __future__ import annotations

from fastapi import APIRouter

from service.pages import (
    delete_pages,
    descriptor_pages,
    edit_pages,
    evaluation_pages,
    job_pages,
    neuron_pages,
    run_pages,
    start_pages,
    static_files,
    text_pages,
)

router = APIRouter(include_in_schema=False)
for _part in (
    run_pages,
    delete_pages,
    neuron_pages,
    edit_pages,
    descriptor_pages,
    text_pages,
    evaluation_pages,
    job_pages,
    start_pages,
    static_files,
):
    router.include_router(_part.router)
