"use strict";
(() => {
  const main = document.querySelector("main");
  const questions = [...document.querySelectorAll("fieldset")];
  const rater = document.getElementById("rater");
  const problem = document.getElementById("problem");
  const place = `neuroscribe-${main.dataset.sheet}`;

  const answers = () =>
    Object.fromEntries(
      questions
        .map((each) => [each.dataset.question, each.querySelector("input:checked")?.value])
        .filter(([, option]) => option !== undefined),
    );

  const show = () => {
    const done = Object.keys(answers()).length;
    document.getElementById("progress").textContent = `${done} of ${questions.length} answered`;
  };

  const keep = () => {
    // Pages opened from disk may be denied storage; answers then live as long as the page.
    try {
      localStorage.setItem(place, JSON.stringify({ rater: rater.value, answers: answers() }));
    } catch {
      return;
    }
  };

  const recall = () => {
    let kept = null;
    try {
      kept = JSON.parse(localStorage.getItem(place));
    } catch {
      return;
    }
    if (!kept) return;
    rater.value = kept.rater;
    for (const each of questions) {
      const option = kept.answers[each.dataset.question];
      const input = [...each.querySelectorAll("input")].find((one) => one.value === option);
      if (input) input.checked = true;
    }
  };

  const save = () => {
    const name = rater.value.trim();
    problem.textContent = name ? "" : "Please say who you are first.";
    if (!name) {
      rater.focus();
      return;
    }
    const told = { rater: name, sheet: main.dataset.sheet, answers: answers() };
    const file = new Blob([JSON.stringify(told, null, 2)], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = `answers-${name.replace(/[^A-Za-z0-9]+/g, "-")}.json`;
    link.click();
    URL.revokeObjectURL(link.href);
  };

  recall();
  show();
  document.addEventListener("change", () => {
    show();
    keep();
  });
  document.getElementById("save").addEventListener("click", save);
})();
