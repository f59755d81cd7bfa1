// @ts-check
/// <reference lib="webworker" />
/**
 * The officer's store: the form and the last 50 answers for 24 hours, both gone at log-out (CONSOLE section 6).
 * Law: what lies in here says so, and is never green: the page bears data-v="stored" before it is kept, and its own style does the rest.
 */
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const STORE = "officer-2"; // a number higher whenever what lies in it has another form
const ANSWERS_MAX = 50;
const KEEP_MS = 24 * 3_600_000;
const AT = "X-Stored-At";
const NETWORK_MS = 12_000; // a handshake takes three round trips of 2 s, and as much again is patience
const FORM = new URL("/o/", worker.location.origin).href;
const ENDS = new Set(["/o/logout", "/o/login"]); // of one person's time with this phone
const KEPT = new Set(["/o/", "/o/s", "/o/officer.js"]);

worker.addEventListener("install", (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener("activate", (event) => event.waitUntil(started()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname } = new URL(request.url);
  if (request.method === "POST" && ENDS.has(pathname)) event.respondWith(left(request));
  else if (request.method === "GET" && isKept(pathname)) event.respondWith(asked(event));
});

/** @param {string} path */
function isKept(path) {
  return KEPT.has(path) || path.toLowerCase().startsWith("/o/h/");
}

async function started() {
  for (const name of await caches.keys()) if (name !== STORE) await caches.delete(name);
  await worker.clients.claim();
}

/**
 * The network first; without it, or when it says nothing for long, what is kept: the answer, else the form.
 * @param {FetchEvent} event
 */
async function asked(event) {
  const { url } = event.request;
  if (!navigator.onLine) {
    const kept = await stored(url); // nothing to wait for
    if (kept) return kept;
  }
  try {
    const answer = await hurried(event.request);
    if (answer.ok) event.waitUntil(keep(url, answer.clone()));
    // An answer is only sent elsewhere when nobody is logged in any more.
    if (answer.type === "opaqueredirect") event.waitUntil(caches.delete(STORE));
    return answer;
  } catch {
    return (await stored(url)) ?? (await stored(FORM)) ?? Response.error();
  }
}

/**
 * The network's answer. It is asked before the store is looked into: that takes its time on a slow phone, and nobody waits for it.
 * @param {Request} request
 */
async function hurried(request) {
  const giveUp = new AbortController();
  const timer = setTimeout(async () => {
    if (await stored(request.url)) giveUp.abort();
  }, NETWORK_MS);
  try {
    return await fetch(request, { signal: giveUp.signal });
  } finally {
    clearTimeout(timer);
  }
}

/** Nothing stays behind a log-out, whether the centre hears of it or not, nor for the next who logs in. @param {Request} request */
async function left(request) {
  await caches.delete(STORE);
  return fetch(request);
}

/** @param {string} url @param {Response} answer */
async function keep(url, answer) {
  const headers = new Headers(answer.headers);
  headers.set(AT, String(Date.now()));
  headers.delete("Content-Encoding"); // what is kept is unpacked
  const store = await caches.open(STORE);
  await store.delete(url); // the order of the keys is that of their last answers
  const page = (await answer.text()).replace('data-v="live"', 'data-v="stored"');
  await store.put(url, new Response(page, { headers }));
  const keys = await store.keys();
  for (const old of keys.slice(0, Math.max(0, keys.length - ANSWERS_MAX - 2))) await store.delete(old);
}

/** @param {string} url */
async function stored(url) {
  const store = await caches.open(STORE);
  const kept = await store.match(url);
  if (!kept) return undefined;
  const age = Date.now() - Number(kept.headers.get(AT));
  if (!(age >= 0 && age < KEEP_MS)) {
    await store.delete(url);
    return undefined;
  }
  return kept; // as it lies there: nothing is read or written anew while somebody waits
}
