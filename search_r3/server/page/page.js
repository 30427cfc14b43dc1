"use strict";
// Texts of documents, queries and thoughts are only ever set as textContent: what stands in them is not run.

const byId = (id) => document.getElementById(id);
const ask = byId("ask"), rethink = byId("rethink"), statusLine = byId("status");
let asked = 0; // answers to earlier questions are dropped

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (answer.status === 401 && (await askForKey())) return post(path, body);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error ? found.error.message : answer.statusText);
  return found;
}

// A search whose thought is shown while it is written: server-sent events, of which the last one is the answer.
async function postStream(path, body, onThought) {
  const headers = { "Content-Type": "application/json" };
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify({ ...body, stream: true }) });
  if (answer.status === 401 && (await askForKey())) return postStream(path, body, onThought);
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let left = "", result = null; ;) {
    const { value, done } = await reader.read();
    if (done && result) return result;
    if (done) throw new Error("The server ended the answer early. Try again.");
    const blocks = (left + value).split("\n\n");
    left = blocks.pop();
    for (const block of blocks) {
      const [name, data] = block.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      const told = JSON.parse(data);
      if (name === "thought") onThought(told.text);
      else if (name === "error") throw new Error(told.error.message);
      else result = told;
    }
  }
}

let keyAsked = null; // both requests of a search may be refused at once
function askForKey() {
  if (keyAsked) return keyAsked;
  const dialog = byId("key");
  dialog.showModal();
  keyAsked = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      keyAsked = null;
      const key = byId("key-value").value;
      if (key) sessionStorage.setItem("key", key);
      resolve(Boolean(key) && dialog.returnValue === "use");
    }, { once: true });
  });
  return keyAsked;
}

function say(text, isError = false) {
  statusLine.textContent = text;
  statusLine.classList.toggle("error", isError);
}

function hit(found, moved) {
  const item = element("li", "hit");
  const head = element("header");
  head.append(element("span", "", `${found.rank}.`), element("span", "name", found.doc_id));
  if (moved === null) head.append(element("span", "up", "new"));
  else if (moved) head.append(element("span", moved > 0 ? "up" : "down", moved > 0 ? `▲ ${moved}` : `▼ ${-moved}`));
  head.append(element("span", "", found.score.toFixed(3)));
  item.append(head, element("p", "", found.text));
  return item;
}

function showRankings(found, without) {
  const before = without && new Map(without.hits.map((one) => [one.doc_id, one.rank]));
  const moved = (one) => (!before ? 0 : before.has(one.doc_id) ? before.get(one.doc_id) - one.rank : null);
  byId("with").replaceChildren(...found.hits.map((one) => hit(one, moved(one))));
  byId("without").replaceChildren(...(without?.hits ?? []).map((one) => hit(one, 0)));
}

function showSteps(steps) {
  const lines = [];
  steps.forEach((searches, number) => searches.forEach((one) => {
    const line = element("li", "step");
    line.append(element("strong", "", `Step ${number + 1} `));
    if (one.read.length) line.append(element("span", "", `read ${one.read.join(", ")}; thought: ${one.thought.text || "(nothing)"} `));
    line.append(element("span", "soft", `found ${one.found.slice(0, 5).join(", ") || "nothing: no search"}`));
    lines.push(line);
  }));
  byId("steps").replaceChildren(...lines);
}

async function search(thought) {
  const number = ++asked, started = performance.now();
  const form = new FormData(ask), query = form.get("query").trim();
  if (!query) return;
  const mode = thought === undefined ? form.get("mode") : "think";
  const shared = { query, k: Number(form.get("k")) || 10 };
  if (form.get("hybrid") && thought === undefined) shared.hybrid = true;
  history.replaceState(null, "", `#${new URLSearchParams({ q: query, mode: form.get("mode"), k: shared.k, bm25: form.get("hybrid") ? 1 : 0 })}`);
  say("Searching …");
  try {
    const how = thought !== undefined ? { thought } : { default: {}, think: { reasoning: "always" }, steps: { steps: 2 } }[mode];
    const compared = mode !== "default";
    const writing = (text) => { if (number === asked) { rethink.hidden = false; byId("thought").value = text; } };
    const [found, without] = await Promise.all([
      mode === "steps" ? post("v1/search", { ...shared, ...how }) : postStream("v1/search", { ...shared, ...how }, writing),
      compared ? post("v1/search", { ...shared, reasoning: "never" }) : undefined,
    ]);
    if (number !== asked) return;
    showRankings(found, without);
    showSteps(found.steps);
    byId("with-title").textContent = { default: "Found", think: "With the thought", steps: "In two steps" }[mode];
    byId("without-title").textContent = mode === "steps" ? "In one step, without a thought" : "Without it";
    byId("compared").hidden = !compared;
    rethink.hidden = mode === "steps" || found.thought.ending === "skipped";
    byId("thought").value = found.thought.text;
    const direct = without ? `, without the thought ${Math.round(without.seconds * 1000)} ms` : "";
    byId("cost").textContent = `${found.thought.tokens} tokens, ended by ${found.thought.ending}; ${Math.round(found.seconds * 1000)} ms${direct}`;
    say(`${found.hits.length} documents in ${Math.round(performance.now() - started)} ms`);
  } catch (error) {
    if (number === asked) say(error.message, true);
  }
}

ask.addEventListener("submit", (event) => { event.preventDefault(); search(); });
rethink.addEventListener("submit", (event) => { event.preventDefault(); search(byId("thought").value); });
byId("thought").addEventListener("keydown", (event) => { // a thought may have line breaks: Shift and Enter write one
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); rethink.requestSubmit(); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) { event.preventDefault(); byId("query").focus(); }
  if (event.key === "Escape") document.activeElement.blur();
});

function fromAddress() {
  const kept = new URLSearchParams(location.hash.slice(1));
  if (!kept.get("q")) return;
  byId("query").value = kept.get("q");
  const known = [...ask.querySelectorAll("input[name=mode]")];
  (known.find((one) => one.value === kept.get("mode")) ?? known[0]).checked = true;
  ask.elements.hybrid.checked = kept.get("bm25") === "1";
  ask.elements.k.value = Number(kept.get("k")) || 10;
  search();
}
window.addEventListener("hashchange", fromAddress);
fromAddress();
