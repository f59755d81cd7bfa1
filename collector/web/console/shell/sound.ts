/** Tones by WebAudio, without files. Law: which tone is due is `tones.ts`'s; of many tabs the one that holds the lock sounds. */
import { noted } from './noted';
import type { Tone } from './tones';

const LOCK = 'plomba-sound';
const GAIN = 0.2;

/** Hertz and seconds, one after the other. */
const NOTES: Readonly<Record<Tone, readonly (readonly [hz: number, s: number])[]>> = {
  critical: [[880, 0.2], [660, 0.2], [880, 0.2], [660, 0.2]],
  high: [[660, 0.35]],
  medium: [[440, 0.35]],
  link: [[220, 0.6]],
};

export class Sound {
  private context: AudioContext | null = null;
  private holdsLock = false;

  /** A click has armed it: browsers let no page sound before. */
  async arm(): Promise<boolean> {
    this.context ??= new AudioContext();
    await this.context.resume().catch(() => undefined);
    return this.isRunning;
  }

  get isRunning(): boolean {
    return this.context?.state === 'running';
  }

  /** Whether this tab is the one that sounds. */
  get isSpeaker(): boolean {
    return this.holdsLock;
  }

  /** Ask for the lock and keep it until the undo, or until the tab is closed. */
  hold(): () => void {
    const leaving = new AbortController();
    let release: () => void = () => undefined;
    const until = new Promise<void>((resolve) => (release = resolve));
    if (!('locks' in navigator)) {
      this.holdsLock = true;
      return () => undefined;
    }
    navigator.locks
      .request(LOCK, { signal: leaving.signal }, async () => {
        this.holdsLock = true;
        await until;
        this.holdsLock = false;
      })
      .catch(() => undefined); // the tab was left while it waited
    return () => {
      leaving.abort();
      release();
    };
  }

  play(tone: Tone): void {
    const context = this.context;
    if (context === null || !this.isRunning || !this.holdsLock) return;
    let at = context.currentTime;
    noted(`tone-${tone}`);
    for (const [hz, seconds] of NOTES[tone]) {
      const note = context.createOscillator();
      const gain = context.createGain();
      note.frequency.value = hz;
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(GAIN, at + 0.01); // a click at either end would be a second sound
      gain.gain.setValueAtTime(GAIN, at + seconds - 0.02);
      gain.gain.linearRampToValueAtTime(0, at + seconds);
      note.connect(gain).connect(context.destination);
      note.start(at);
      note.stop(at + seconds);
      at += seconds;
    }
  }
}
