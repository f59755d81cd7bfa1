// @ts-check
/// <reference lib="webworker" />
/**
 * The officer's store: the form and the last 50 answers for 24 hours, both gone at log-out (CONSOLE section 6).
 * Law: what lies in here says so, and is never green: the page bears data-v="stored" before it is kept, and its own style does the rest.
 */
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const STORE = "officer-3"; // a number higher whenever what lies in it has another form
const ANSWERS_MAX = 50;
const KEEP_MS = 24 * 3_600_000;
const AT = "X-Stored-At";
const NETWORK_MS = 12_000; // a handshake takes three round trips of 2 s, and as much again is patience
const FORM = "/o/"; // in whatever language it was asked for last
const ALONE = "/o/h/"; // a unit's code without the network
const ENDS = new Set(["/o/logout", "/o/login"]); // of one person's time with this phone
const KEPT = new Set([FORM, "/o/s", "/o/officer.js", "/o/keys"]);

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
  return KEPT.has(path) || path.toLowerCase().startsWith(ALONE);
}

/** What a person has asked, of which 50 are kept. @param {string} url */
function isAnswer(url) {
  const path = new URL(url).pathname.toLowerCase();
  return path === "/o/s" || (path.startsWith(ALONE) && path !== ALONE);
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
    const kept = await stored(url);
    if (kept) return kept;
    const isCode = isAnswer(url) && new URL(url).pathname.toLowerCase().startsWith(ALONE);
    return (isCode && (await stored(ALONE, true))) || (await stored(FORM, true)) || Response.error();
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
  for (const name of ["Content-Encoding", "Content-Length"]) headers.delete(name); // what is kept is unpacked
  const store = await caches.open(STORE);
  await store.delete(url); // the order of the keys is that of their last answers
  const page = (await answer.text()).replace('data-v="live"', 'data-v="stored"');
  await store.put(url, new Response(page, { headers }));
  const answers = (await store.keys()).filter((one) => isAnswer(one.url));
  for (const old of answers.slice(0, Math.max(0, answers.length - ANSWERS_MAX))) await store.delete(old);
}

/** @param {string} url @param {boolean} ignoreSearch in any language */
async function stored(url, ignoreSearch = false) {
  const store = await caches.open(STORE);
  const kept = await store.match(url, { ignoreSearch });
  if (!kept) return undefined;
  const age = Date.now() - Number(kept.headers.get(AT));
  if (!(age >= 0 && age < KEEP_MS)) {
    await store.delete(url, { ignoreSearch });
    return undefined;
  }
  return kept; // as it lies there: nothing is read or written anew while somebody waits
}
