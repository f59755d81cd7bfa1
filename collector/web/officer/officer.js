// @ts-check
/**
 * What scripts add to the officer's page: scanning, reports that wait for the network, and one look more at the clock.
 * Law: the page is whole without this file, and nothing here makes an answer better.
 */
const root = document.documentElement;
const $ = (/** @type {string} */ query) => /** @type {HTMLElement | null} */ (document.querySelector(query));

// Green, once more by the wall clock: also after sleep, and when a page comes back out of the browser's memory.
const green = $("[data-green]");
if (green) {
  const until = Number(green.dataset["green"]) * 1000;
  const born = Date.now();
  const pale = () => {
    const gone = Date.now() - born;
    if (!(gone >= 0 && gone < until)) root.dataset["v"] = "old";
  };
  addEventListener("pageshow", (event) => {
    if (event.persisted) root.dataset["v"] = "old";
    pale();
  });
  document.addEventListener("visibilitychange", pale);
  const [way] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  if (way?.type === "back_forward" && way.transferSize === 0 && !way.workerStart) root.dataset["v"] = "old";
}

// A code that the phone's own camera opens is all in capitals, and to a browser that is another place.
for (const place of "serviceWorker" in navigator ? ["/o/", "/O/"] : []) {
  navigator.serviceWorker.register(`${place}sw.js`, { scope: place }).catch(() => {});
}

// Reports wait on the phone, each with its key: the centre takes it once however often it comes.
/** @typedef {{key: string, who: string, fields: [string, string][], made: number}} Waiting */

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((give, fail) => {
    const asked = indexedDB.open("officer", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("reports", { keyPath: "key" });
    asked.onsuccess = () => give(asked.result);
    asked.onerror = () => fail(asked.error);
  });
}

/** @template T @param {IDBTransactionMode} mode @param {(reports: IDBObjectStore) => IDBRequest<T>} act @returns {Promise<T>} */
async function reports(mode, act) {
  const database = await open();
  try {
    return await new Promise((give, fail) => {
      const asked = act(database.transaction("reports", mode).objectStore("reports"));
      asked.onsuccess = () => give(asked.result);
      asked.onerror = () => fail(asked.error);
    });
  } finally {
    database.close();
  }
}

const wait = $("#wait");
const token = () => /** @type {HTMLInputElement | null} */ (document.querySelector('input[name="csrf"]'))?.value ?? "";
const who = () => wait?.dataset["who"] ?? "";

/** True if the centre has it, or will never take it. @param {Waiting} waiting */
async function send(waiting) {
  const body = new URLSearchParams(waiting.fields);
  body.set("csrf", token());
  body.set("waited", String(Math.max(0, Date.now() - waiting.made))); // an age: no clock of a phone is asked for the time
  const answer = await fetch("/o/report", { method: "POST", body, headers: { "X-Plomba": "1" }, redirect: "error" });
  return answer.ok || answer.status === 404 || answer.status === 422;
}

let sending = false;
async function flush() {
  if (sending) return;
  sending = true;
  try {
    for (const one of /** @type {Waiting[]} */ (await reports("readonly", (all) => all.getAll()))) {
      if (one.who !== who()) continue; // another officer's: it waits for him
      if (await send(one).catch(() => false)) await reports("readwrite", (all) => all.delete(one.key));
    }
  } finally {
    sending = false;
    await show();
  }
}

async function show() {
  const n = await reports("readonly", (all) => all.count());
  if (wait) wait.textContent = n ? (wait.dataset["one"] ?? "").replace("{n}", String(n)) : "";
}

const form = /** @type {HTMLFormElement | null} */ ($("#report"));
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (event.submitter);
  const fields = /** @type {[string, string][]} */ ([...new FormData(form)].filter(([name]) => name !== "csrf"));
  const seen = fields.find(([name]) => name === "seen");
  if (seen && seen[1] === "green" && root.dataset["v"] !== "live") seen[1] = "grey"; // as it was on the screen
  fields.push(["what", button.value]);
  const key = `${new FormData(form).get("key")}-${button.value}`;
  for (const one of form.querySelectorAll("button")) one.disabled = true;
  void (async () => {
    await reports("readwrite", (all) => all.put({ key, who: who(), fields, made: Date.now() }));
    await flush();
    const kept = await reports("readonly", (all) => all.get(key));
    if (!kept && navigator.onLine) location.reload();
  })();
});

addEventListener("online", () => void flush());
void flush().catch(() => {}); // without IndexedDB there is nothing that could wait

// A unit's code where there is no network: looked at with the keys that this phone holds. Whatever comes of it, the page stays grey.
const KEYS = "/o/keys";
const KEYS_MS_MAX = 24 * 3_600_000; // older ones are none
const AGAIN_MS = 6 * 3_600_000;
const AT = "X-Stored-At"; // by the worker
const SAYS = new TextEncoder().encode("plomba/handover/1\0"); // before what is signed: WIRE section 15
const BODY_BYTES = 28;
/** @typedef {[number: number, unit: string, key: string]} Known */

/** @param {Response | undefined} kept */
const ageOf = (kept) => (kept ? Date.now() - Number(kept.headers.get(AT)) : Infinity);

/** Gets them now and then, with the page that uses them and the form; not over a line on which that hurts. */
async function provide() {
  const line = /** @type {{effectiveType?: string, saveData?: boolean} | undefined} */ (/** @type {{connection?: object}} */ (navigator).connection);
  if (!who() || line?.saveData || line?.effectiveType?.endsWith("2g")) return;
  const age = ageOf(await caches.match(KEYS));
  if (age >= 0 && age < AGAIN_MS) return;
  await fetch(KEYS);
  for (const page of ["/o/h/", "/o/"]) {
    await fetch(`${page}?lang=${encodeURIComponent(root.lang)}`, { headers: { Accept: "text/html" } });
  }
}
if ("serviceWorker" in navigator) {
  void navigator.serviceWorker.ready.then(() => setTimeout(() => void provide().catch(() => {}), 3_000));
}

/** The 92 bytes of a code (RFC 4648, base32). @param {string} code */
function bytesOf(code) {
  const found = [];
  let [held, bits] = [0, 0];
  for (const letter of code.toUpperCase()) {
    held = ((held << 5) | "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits >= 8) found.push((held >> (bits -= 8)) & 0xff);
  }
  return new Uint8Array(found);
}

/** Which word of the page is true of this code, and what it says. @param {string} code @returns {Promise<[string, Record<string, string>]>} */
async function weighed(code) {
  const bytes = bytesOf(code);
  const view = new DataView(bytes.buffer);
  const kept = await caches.match(KEYS);
  const age = ageOf(kept);
  const { keys } = /** @type {{keys: Known[]}} */ (kept && age >= 0 && age < KEYS_MS_MAX ? await kept.json() : { keys: [] });
  const own = keys.filter(([number]) => number === view.getUint32(0));
  const body = new Uint8Array([...SAYS, ...bytes.slice(0, BODY_BYTES)]);
  for (const [, unit, key] of own) {
    const raw = Uint8Array.from(key.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    const made = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
    if (!(await crypto.subtle.verify("Ed25519", made, bytes.slice(BODY_BYTES), body))) continue;
    const head = [...bytes.slice(8, 12)].map((one) => one.toString(16).padStart(2, "0")).join("");
    const time = new Date(view.getUint32(24) * 1_000).toISOString().slice(0, 16).replace("T", " ") + " UTC";
    return ["good", { unit, n: String(view.getUint32(4)), head, time }];
  }
  return [own.length ? "bad" : "strange", {}];
}

if ($("#strange")) {
  const [, code] = /\/o\/h\/([a-z2-7]{148})$/i.exec(location.pathname) ?? [];
  const told = code ? weighed(code).catch(() => /** @type {[string, Record<string, string>]} */ (["strange", {}])) : null;
  void told?.then(([id, words]) => {
    const word = $(`#${id}`);
    if (!word) return;
    word.textContent = (word.textContent ?? "").replace(/\{(\w+)\}/g, (_, name) => words[name] ?? "");
    word.hidden = false;
  });
}

// Scanning: by the camera as long as it looks, or by a photo where a browser lends it to nobody.
const DECODER = "/assets/qr.js"; // the server writes the built file's name here
const SIDES_MAX = [900, 1800]; // pixels of a picture that is looked through: small first, it is quick
/** @typedef {ImageBitmap | HTMLVideoElement} Picture */
/** @typedef {(picture: Picture) => Promise<string | null>} Look */
/** @typedef {{detect(source: Picture): Promise<{rawValue: string}[]>}} Detector */
/** @typedef {{new(options: {formats: string[]}): Detector, getSupportedFormats(): Promise<string[]>}} Detectors */

/** The browser's own detector; else ours, which is fetched when somebody scans and kept for good. @returns {Promise<Look>} */
async function looker() {
  const Own = /** @type {Detectors | undefined} */ (/** @type {Record<string, unknown>} */ (/** @type {unknown} */ (globalThis))["BarcodeDetector"]);
  const formats = await Own?.getSupportedFormats().catch(() => /** @type {string[]} */ ([]));
  if (Own && formats?.includes("qr_code")) {
    const own = new Own({ formats: ["qr_code"] });
    return async (picture) => (await own.detect(picture))[0]?.rawValue ?? null;
  }
  const { read } = /** @type {{read(image: ImageData): string | null}} */ (await import(DECODER));
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  return async (picture) => {
    const [width, height] = "videoWidth" in picture ? [picture.videoWidth, picture.videoHeight] : [picture.width, picture.height];
    for (const side of "videoWidth" in picture ? SIDES_MAX.slice(0, 1) : SIDES_MAX) {
      const scale = Math.min(1, side / Math.max(width, height));
      [canvas.width, canvas.height] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
      pen?.drawImage(picture, 0, 0, canvas.width, canvas.height);
      const found = pen && read(pen.getImageData(0, 0, canvas.width, canvas.height));
      if (found) return found;
    }
    return null;
  };
}

const scan = /** @type {HTMLButtonElement | null} */ ($("#scan"));
if (scan) {
  scan.hidden = false;
  scan.addEventListener("click", () => {
    scan.disabled = true;
    void scanned(scan.textContent ?? "").finally(() => (scan.disabled = false));
  });
}

/** One try: whatever sees a code first leads on; who sees none is told to type. @param {string} name */
async function scanned(name) {
  const panel = document.createElement("div");
  const photo = Object.assign(document.createElement("input"), { type: "file", accept: "image/*" });
  for (const [key, value] of [["capture", "environment"], ["aria-label", name]]) photo.setAttribute(key ?? "", value ?? "");
  const word = Object.assign(document.createElement("p"), { className: "e", hidden: true, textContent: wait?.dataset["none"] ?? "" });
  word.setAttribute("role", "alert");
  panel.append(word, photo);
  $("#scanned")?.remove();
  panel.id = "scanned";
  $("main")?.prepend(panel);
  const look = looker();
  photo.addEventListener("change", async () => {
    const [file] = photo.files ?? [];
    word.hidden = true;
    const found = file && (await seen(await look, file).catch(() => null));
    if (found) go(found);
    else word.hidden = false;
  });
  try {
    const found = await filmed(look, panel);
    if (found) return go(found);
  } catch {
    photo.focus(); // no camera, or none for us: a photo is left
  }
  await look.catch(() => photo.remove()); // nothing here can read a code
  word.hidden = false;
}

/** @param {Look} look @param {File} file */
async function seen(look, file) {
  return look(await createImageBitmap(file));
}

/** What the camera sees within a minute. @param {Promise<Look>} look @param {HTMLElement} panel */
async function filmed(look, panel) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const video = document.createElement("video");
  video.playsInline = true;
  video.srcObject = stream;
  panel.prepend(video);
  const end = Date.now() + 60_000; // a camera that sees nothing for a minute is put away
  try {
    await video.play();
    while (Date.now() < end && panel.isConnected) {
      const found = await (await look)(video);
      if (found) return found;
      await new Promise((on) => setTimeout(on, 150));
    }
    return null;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.remove();
  }
}

/** A unit's code leads to its page, anything else is looked for as it is; in the language of this page. @param {string} text */
function go(text) {
  const code = /\/o\/h\/([a-z2-7]{148})$/i.exec(text);
  const lang = encodeURIComponent(root.lang);
  location.assign(code ? `/o/h/${code[1]}?lang=${lang}` : `/o/s?q=${encodeURIComponent(text.slice(0, 64))}&lang=${lang}`);
}
