"use strict";
// Sends a chosen file on its own, with a bar, and shows what is in it before the run is started.
(() => {
  const form = document.getElementById("start");
  const file = document.getElementById("file");
  const choice = document.getElementById("corpus-file");
  const state = document.getElementById("upload-state");
  const fields = document.getElementById("upload-fields");
  const button = form.querySelector("button:not([type=button])");
  const name = document.getElementById("name");
  // The file that is being sent or was sent; `done` tells its upload's identifier, or null.
  let current = null;
  let asked = 0;

  const tell = (text, bad = false) => {
    state.replaceChildren(text);
    state.classList.toggle("is-bad", bad);
    if (bad) file.setAttribute("aria-invalid", "true"); else file.removeAttribute("aria-invalid");
  };
  const size = (bytes) => bytes < 1048576 ? `${Math.max(1, Math.round(bytes / 1024))} KiB` : `${Math.round(bytes / 1048576)} MiB`;

  const send = (chosen, request) => new Promise((resolve, reject) => {
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", "Upload");
    const words = document.createElement("span");
    words.textContent = `Sending ${chosen.name}, ${size(chosen.size)}`;
    tell("");
    state.replaceChildren(words, bar);
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; });
    request.upload.addEventListener("load", () => { words.textContent = `Checking ${chosen.name}`; bar.removeAttribute("value"); });
    request.addEventListener("load", () => {
      let reply = {};
      try { reply = JSON.parse(request.responseText); } catch { /* Said below. */ }
      if (request.status === 201) resolve(reply.id);
      else reject(new Error(reply.detail || `the service answered ${request.status}`));
    });
    request.addEventListener("error", () => reject(new Error("the service does not answer")));
    request.open("POST", `/v1/uploads?name=${encodeURIComponent(chosen.name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(chosen);
  });

  // What is in an upload, as the service shows it; null leaves the place empty.
  const look = async (upload) => {
    const number = ++asked;
    const shown = fields.querySelector("[name=fields_of]");
    if (upload && shown && shown.value === upload) return;
    fields.replaceChildren();
    if (!upload) return;
    const reply = await fetch(`/start/fields?upload=${upload}`, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (number !== asked) return;
    if (reply.ok) fields.replaceChildren(...page.body.childNodes);
    else throw new Error(page.querySelector(".lede")?.textContent || `the service answered ${reply.status}`);
  };

  // A file that is replaced by another before a run was started with it was of no use.
  const drop = (before) => {
    if (!before || before.used) return;
    before.dropped = true;
    before.request.abort();
    if (before.upload) fetch(`/v1/uploads/${before.upload}`, { method: "DELETE" }).catch(() => {});
  };

  const deliver = async (mine, chosen) => {
    try {
      mine.upload = await send(chosen, mine.request);
      if (mine.dropped) return drop(mine);
      choice.value = `upload:${mine.upload}`;
      if (choice.checked) await look(mine.upload);
      const guess = document.getElementById("fields")?.dataset.textField;
      tell(guess ? `${chosen.name} is there. Its texts seem to be in “${guess}”; look below whether that is right.` : `${chosen.name} is there. Choose below which field holds the texts.`);
    } catch (error) {
      if (!mine.dropped) tell(`Not sent: ${error.message}`, true);
    }
  };

  file.addEventListener("change", () => {
    drop(current);
    current = null;
    choice.value = "file";
    const chosen = file.files[0];
    if (choice.checked) look(null);
    if (!chosen) return tell("");
    choice.checked = true;
    look(null);
    if (chosen.size > Number(file.dataset.limit)) return tell(`${chosen.name} has ${size(chosen.size)}, more than the service takes. Send it compressed, or a part of it.`, true);
    if (!name.value) name.value = chosen.name.replace(/\.(jsonl|csv|tsv|txt|parquet)(\.gz)?$/i, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 100);
    current = { request: new XMLHttpRequest(), upload: null, dropped: false, used: false };
    current.done = deliver(current, chosen);
  });

  form.addEventListener("change", (event) => {
    if (event.target.name !== "corpus") return;
    const upload = event.target.value.startsWith("upload:") ? event.target.value.slice(7) : null;
    look(upload).catch((error) => tell(`Its rows cannot be shown: ${error.message}`, true));
  });

  form.addEventListener("submit", async (event) => {
    if (!choice.checked) return;
    if (choice.value !== "file") {
      current.used = true;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!current) {
      tell("Choose a file first.", true);
      return file.focus();
    }
    button.disabled = true;
    await current.done;
    button.disabled = false;
    // The fields have only just appeared: they are to be seen before anything starts.
    if (choice.value === "file") state.scrollIntoView({ block: "center" });
    else document.getElementById("text-field")?.focus();
  }, { capture: true });
})();
