/** The one cursor of map, charts and timeline, and how it runs. Law: it never leaves the time that is shown. */

export const SPEEDS = [1, 10, 60, 100] as const;
const STEP_MS = 100;

export class Playback {
  beginMs = $state(0);
  endMs = $state(0);
  atMs = $state(0);
  speed = $state(60);
  isPlaying = $state(false);

  /** Another time is shown: the cursor stands at its end. */
  show(beginMs: number, endMs: number): void {
    if (this.beginMs === beginMs && this.endMs === endMs) return;
    [this.beginMs, this.endMs, this.isPlaying] = [beginMs, endMs, false];
    this.atMs = endMs;
  }

  go(atMs: number): void {
    this.atMs = Math.min(Math.max(atMs, this.beginMs), this.endMs);
  }

  toggle(): void {
    if (!this.isPlaying && this.atMs >= this.endMs) this.atMs = this.beginMs;
    this.isPlaying = !this.isPlaying;
  }

  /** Run while it plays; the undo stops it. */
  run(): () => void {
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      this.go(this.atMs + (now - last) * this.speed);
      last = now;
      if (this.atMs >= this.endMs) this.isPlaying = false;
    }, STEP_MS);
    return () => clearInterval(timer);
  }
}
