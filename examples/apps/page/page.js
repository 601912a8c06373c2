// Draw a digit; the newest good model says which one it is. Everything happens in this browser.

import * as ort from "./vendor/ort.wasm.min.mjs";
import { Model } from "./follow.js";

const SIDE = 8;
const said = document.body.dataset;
const board = document.querySelector("#board");
const bars = document.querySelector("#bars");
const cells = new Float32Array(SIDE * SIDE);
let session = null; // of the version in use; replaced by one assignment
let turn = Promise.resolve(); // the runtime does one thing at a time

ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
ort.env.wasm.wasmPaths = new URL("vendor/", import.meta.url).href;

const model = new Model(said.from, said.model, {
  alias: said.alias,
  files: ["model.onnx"],
  keys: (said.keys ?? "").split(" ").filter(Boolean),
});

function tell(text, kind = "") {
  const status = document.querySelector("#status");
  status.textContent = text;
  status.className = kind;
}

function show() {
  const version = session ? session.version : "none yet";
  document.querySelector("#version").textContent = version;
  if (model.problem && session) tell(`going on with ${version}: ${model.problem}`, "problem");
  else if (model.problem) tell(`there is no model yet: ${model.problem}`, "problem");
  else if (model.stale) tell(`${version} may be old: nothing was heard for a while`, "problem");
  else tell(`up to date`);
}

// Load what the model holds now beside the version in use, try it, and only then put it in use.
async function change() {
  const version = model.version;
  try {
    const next = await ort.InferenceSession.create(model.bytes.get("model.onnx"));
    await next.run({ image: new ort.Tensor("float32", new Float32Array(SIDE * SIDE), [1, SIDE * SIDE]) });
    const former = session;
    session = { run: (input) => next.run(input), release: () => next.release(), version };
    if (former) turn = turn.then(() => former.release());
  } catch (error) {
    model.problem = `${version} cannot be loaded: ${error.message}`;
  }
  show();
  await classify();
}

function classify() {
  turn = turn.then(async () => {
    if (!session) return;
    const image = new ort.Tensor("float32", cells.slice(), [1, SIDE * SIDE]);
    const { probability } = await session.run({ image });
    const values = Array.from(probability.data);
    values.forEach((value, digit) => {
      const bar = bars.children[digit];
      bar.querySelector("i").style.inlineSize = `${100 * value}%`;
      bar.querySelector("output").textContent = value.toFixed(3);
    });
    const drawn = cells.some((value) => value > 0);
    document.querySelector("#digit").textContent = drawn ? values.indexOf(Math.max(...values)) : "–";
    document.querySelector("#by").textContent = session.version;
  });
  return turn;
}

function draw(event) {
  if (!(event.buttons & 1)) return;
  const { left, top, width } = board.getBoundingClientRect();
  const x = Math.floor(((event.clientX - left) / width) * SIDE);
  const y = Math.floor(((event.clientY - top) / width) * SIDE);
  if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) return;
  paint(y * SIDE + x, 1);
  // A pen is wider than a point.
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    if (x + dx >= 0 && x + dx < SIDE && y + dy >= 0 && y + dy < SIDE) {
      const at = (y + dy) * SIDE + x + dx;
      paint(at, Math.max(cells[at], 0.3));
    }
  }
  classify();
}

function paint(at, value) {
  cells[at] = value;
  board.children[at].style.opacity = value;
}

function build() {
  for (let i = 0; i < SIDE * SIDE; i++) board.append(document.createElement("b"));
  for (let digit = 0; digit < 10; digit++) {
    const row = document.createElement("li");
    row.innerHTML = `<span>${digit}</span><s><i></i></s><output>0.000</output>`;
    bars.append(row);
  }
  cells.forEach((_, at) => paint(at, 0));
  board.addEventListener("pointerdown", (event) => (board.setPointerCapture(event.pointerId), draw(event)));
  board.addEventListener("pointermove", draw);
  document.querySelector("#clear").addEventListener("click", () => {
    cells.forEach((_, at) => paint(at, 0));
    classify();
  });
}

async function begin() {
  build();
  if (await model.recall()) await change();
  if ((await model.refresh()) || (model.version && !session)) await change();
  show();
  model.watch(async (changed) => (changed ? change() : show()), Number(said.every));
}

begin().catch((error) => tell(error.message, "problem"));
