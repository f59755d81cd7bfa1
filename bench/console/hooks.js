/* What a page of the console is asked for while it is measured. Goes in before the page's own scripts; changes nothing that is shown. */
(() => {
  const bench = { lcp: 0, cls: 0, took: new Map(), rows: new Map(), marks: { alerts: [], points: [], marks: [] }, frames: 0, pressedMs: null, awaited: '', namedMs: null, source: null, alertMs: null };
  window.bench = bench;
  const watch = (type, each, more = {}) =>
    new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true, ...more });
  watch('largest-contentful-paint', (entry) => { bench.lcp = entry.startTime; });
  watch('layout-shift', (entry) => { if (!entry.hadRecentInput) bench.cls += entry.value; });
  watch('event', (entry) => {
    if (entry.interactionId) bench.took.set(entry.interactionId, Math.max(bench.took.get(entry.interactionId) ?? 0, entry.duration));
  }, { durationThreshold: 16 });

  /* What the console itself marks; it keeps the newest of a name alone. */
  watch('mark', ({ name, startTime }) => {
    if (name in bench.marks) bench.marks[name] = [...bench.marks[name].slice(-199), startTime];
    if (name === 'points') bench.frames += 1;
  });

  /* A row of the queue: when it came into the document, what that cost, and when it was painted. */
  const seen = (row) => {
    const id = row.id.replace(/^(row|band)-/, '');
    if (bench.rows.has(id)) return;
    const cameMs = performance.now();
    document.body.offsetHeight; // styles and layout of it, at once
    const found = { cameMs, insertMs: bench.alertMs === null ? null : performance.now() - bench.alertMs, paintedMs: null };
    bench.rows.set(id, found);
    requestAnimationFrame(() => {
      const after = new MessageChannel(); // the first task after the frame
      after.port1.onmessage = () => { found.paintedMs = performance.now(); };
      after.port2.postMessage(0);
    });
  };
  addEventListener('keydown', () => { bench.pressedMs = performance.now(); }, true);
  const named = () => {
    if (!document.querySelector('.detail')?.textContent.includes(bench.awaited)) return;
    bench.awaited = '';
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => { bench.namedMs = performance.now(); };
      after.port2.postMessage(0);
    });
  };
  new MutationObserver((changes) => {
    if (bench.awaited !== '') named();
    for (const change of changes) {
      for (const node of change.addedNodes) {
        if (!(node instanceof HTMLElement)) continue;
        if (node.matches('.row[role=option]')) seen(node);
        else for (const row of node.querySelectorAll('.row[role=option]')) seen(row);
      }
    }
  }).observe(document, { childList: true, characterData: true, subtree: true });

  if (!window.benchOwnStream) return;
  /* One stream in the tab itself, so that its events can be timed where they are heard. */
  delete window.SharedWorker;
  window.EventSource = class extends EventSource {
    constructor(...words) {
      super(...words);
      bench.source = this;
    }
    addEventListener(name, hear, ...more) {
      super.addEventListener(name, (event) => {
        if (name === 'alert') {
          bench.alertMs = performance.now();
          setTimeout(() => { bench.alertMs = null; });
        }
        hear(event);
      }, ...more);
    }
  };
})();
