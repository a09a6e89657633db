"use strict";
// Asks for the page again and takes over what has changed in it, so that focus, open details and the place on the
// page stay. Asks less often the longer an answer takes, and not at all while nobody looks.
(function () {
  const page = document.getElementById("page");
  // What the page has only where there is a script: a button, and words for when nobody answers.
  const control = document.createElement("p");
  const button = document.createElement("button");
  const words = document.createElement("span");
  let paused = false;
  let lost = "";
  let timer = 0;

  button.type = "button";
  button.id = "pause";
  words.setAttribute("role", "status");
  control.append(words, button);
  document.querySelector("header").append(control);
  button.addEventListener("click", function () {
    paused = !paused;
    show("");
    if (!paused) refresh();
  });

  function show(failure) {
    lost = failure && (lost || new Date().toLocaleTimeString());
    words.textContent = lost ? "not reached since " + lost + " " : "";
    button.textContent = paused ? "Resume" : "Pause";
    button.dataset.state = lost ? "lost" : paused ? "paused" : "live";
    button.title = failure || (paused ? "Nothing is updated" : "Updated by itself");
    document.body.classList.toggle("stale", Boolean(lost));
  }

  // Which details the proxy would have open: what a person does with them stays until that changes.
  const opened = new WeakMap();
  for (const each of document.querySelectorAll("details")) opened.set(each, each.open);

  function matching(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  }

  // Makes `old` like `fresh` with as few changes as that takes.
  function take(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.nodeName === "DETAILS") {
      if (opened.get(old) !== fresh.open) old.open = fresh.open;
      opened.set(old, fresh.open);
      fresh.open = old.open;
    }
    for (const name of old.getAttributeNames()) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const name of fresh.getAttributeNames()) {
      if (old.getAttribute(name) !== fresh.getAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    }
    if (old.nodeName === "INPUT" || old.nodeName === "SELECT") return;
    takeChildren(old, fresh);
  }

  function takeChildren(old, fresh) {
    let here = old.firstChild;
    for (const next of fresh.childNodes) {
      if (here === control) here = here.nextSibling;
      if (!here || !matching(here, next)) {
        // What has a name is moved to where it belongs now.
        const known = next.id && Array.from(old.children).find((each) => each.id === next.id);
        here = old.insertBefore(known || document.importNode(next, true), here);
      }
      take(here, next);
      here = here.nextSibling;
    }
    while (here) {
      const gone = here;
      here = here.nextSibling;
      if (gone !== control) gone.remove();
    }
  }

  function takePage(fresh) {
    const focused = document.activeElement;
    takeChildren(page, fresh.getElementById("page"));
    // To be moved costs an element its focus.
    if (document.activeElement !== focused && focused.isConnected) focused.focus({ preventScroll: true });
    if (document.title !== fresh.title) document.title = fresh.title;
  }

  async function refresh() {
    clearTimeout(timer);
    const started = performance.now();
    if (!document.hidden) {
      try {
        const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
        if (!answer.ok) throw new Error("status " + answer.status);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!paused) takePage(fresh);
        show("");
      } catch (error) {
        show(error.message);
      }
    }
    const took = performance.now() - started;
    if (!paused) timer = setTimeout(refresh, Math.max(2000, 10 * took));
  }

  document.addEventListener("submit", function (event) {
    const question = event.target.dataset.asks;
    if (question && !confirm(question)) {
      event.preventDefault();
      return;
    }
    // Options that nobody filled in are not sent.
    const fields = Array.from(event.target.elements).filter((each) => each.name && each.value === "");
    for (const each of fields) each.disabled = true;
    setTimeout(function () { for (const each of fields) each.disabled = false; }, 0);
  });
  document.addEventListener("visibilitychange", function () { if (!document.hidden && !paused) refresh(); });
  show("");
  timer = setTimeout(refresh, 1000);
})();
