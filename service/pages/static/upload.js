"use strict";
// Sends the chosen file on its own, with a bar, before the form that names it.
(() => {
  const form = document.getElementById("start");
  const file = document.getElementById("file");
  const choice = document.getElementById("corpus-file");
  const state = document.getElementById("upload-state");
  const button = form.querySelector("button:not([type=button])");
  const name = document.getElementById("name");
  let sent = null;

  const tell = (text, bad = false) => {
    state.replaceChildren(text);
    state.classList.toggle("is-bad", bad);
  };
  const size = (bytes) => bytes < 1048576 ? `${Math.max(1, Math.round(bytes / 1024))} KiB` : `${Math.round(bytes / 1048576)} MiB`;

  file.addEventListener("change", () => {
    sent = null;
    choice.value = "file";
    const chosen = file.files[0];
    if (!chosen) return tell("");
    choice.checked = true;
    if (chosen.size > Number(file.dataset.limit)) return tell(`${chosen.name} has ${size(chosen.size)}, more than the service takes. Send it compressed, or a part of it.`, true);
    if (!name.value) name.value = chosen.name.replace(/\.(jsonl|csv|tsv|txt|parquet)(\.gz)?$/i, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 100);
    tell(`${chosen.name}, ${size(chosen.size)}. It is sent when you start the run.`);
  });

  const send = (chosen) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", "Upload");
    const words = document.createElement("span");
    words.textContent = `Sending ${chosen.name}`;
    state.classList.remove("is-bad");
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

  form.addEventListener("submit", async (event) => {
    if (!choice.checked || sent) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const chosen = file.files[0];
    if (!chosen) {
      tell("Choose a file first.", true);
      return file.focus();
    }
    button.disabled = true;
    try {
      sent = await send(chosen);
      choice.value = `upload:${sent}`;
      tell(`${chosen.name} is there.`);
      button.disabled = false;
      form.requestSubmit(button);
    } catch (error) {
      tell(`Not sent: ${error.message}`, true);
      button.disabled = false;
      state.scrollIntoView({ block: "center" });
    }
  }, { capture: true });
})();
