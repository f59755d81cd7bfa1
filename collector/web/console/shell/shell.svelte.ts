/** All that the screens share: who, where, which language, how old, what sounds. Made once, in `App`, and handed down as context. */
import { getContext, setContext, untrack } from 'svelte';
import type { Alert } from '../lib/alerts';
import type { Town } from '../lib/place';
import { Words, isLanguage } from '../lib/words';
import type { Catalogue, Language } from '../lib/words';
import { Live } from '../live/store.svelte';
import { get, post } from './client';
import type { Action } from './keys';
import { Route } from './route.svelte';
import type { Screen } from './screens';
import { doesWatch, readSession } from './session';
import type { Session } from './session';
import { Settings } from './settings.svelte';
import { Sound } from './sound';
import { staleness } from './stale';
import { NOTHING_TOLD, due } from './tones';
import { offsetOf } from './zone';

const CATALOGUES: Readonly<Record<Language, () => Promise<{ default: Catalogue }>>> = {
  en: () => import('../../locales/en.json'),
  ru: () => import('../../locales/ru.json'),
  uz: () => import('../../locales/uz.json'),
};
const LATER: typeof CATALOGUES = {
  en: () => import('../../locales/en.json?later'),
  ru: () => import('../../locales/ru.json?later'),
  uz: () => import('../../locales/uz.json?later'),
};
const MUTE_MS = 60_000;
const MESSAGE_MS = 8_000;
const ASK_MS = 60_000; // who am I still, and that somebody sits here: once a minute at most

export class Shell {
  readonly route = new Route();
  readonly settings = new Settings();
  readonly live = new Live();
  readonly sound = new Sound();

  session = $state.raw<Session | null>(null);
  /** Whether the centre has said who we are, or that we are nobody. */
  isKnown = $state(false);
  towns = $state.raw<readonly Town[]>([]);
  isSounding = $state(false);
  isHelpOpen = $state(false);
  /** What else the centre wants to know of who sits here. */
  proof = $state<'narrowed' | 'step_up' | null>(null);
  /** How often one was given: what was refused for want of it is asked again. */
  proofs = $state(0);
  mutedUntilMs = $state(0);
  message = $state('');
  monoMs = $state(performance.now());
  private wallMs = $state(Date.now());
  private catalogue = $state.raw<{ language: Language; texts: Catalogue } | null>(null);
  private isBeyondRoom = false;
  private laterWords: Promise<void> | null = null;
  private told = NOTHING_TOLD;
  private inputMs = 0;
  private toldInputMs = 0;
  private askedMs = 0;
  private messageTimer: ReturnType<typeof setTimeout> | undefined;
  private actor: ((action: Action) => boolean) | null = null;

  readonly language: Language = $derived.by(() => {
    for (const one of [this.route.get('lang'), this.settings.language, navigator.language.slice(0, 2)]) if (isLanguage(one)) return one;
    return 'en';
  });
  readonly theme = $derived.by(() => {
    const said = this.route.get('theme');
    return said === 'light' || said === 'dark' ? said : this.settings.theme;
  });
  readonly isKiosk = $derived(this.route.get('kiosk') === '1');
  readonly offset = $derived(offsetOf(this.session?.zone ?? 'Asia/Tashkent'));
  readonly words = $derived(
    this.catalogue === null ? null : new Words(this.catalogue.language, this.catalogue.texts, this.offset),
  );
  /** The server's time now; null before it has told it. */
  readonly nowMs = $derived(this.live.stat === null ? null : this.live.time.at(this.monoMs));
  readonly stale = $derived(
    staleness({
      heardMs: this.live.heardMs,
      nowMs: Math.max(this.monoMs, this.live.heardMs ?? 0),
      driftMs: this.live.time.drift(this.monoMs, this.wallMs),
      ingestAgeS: this.live.stat?.ingestAgeS ?? null,
    }),
  );

  async loadWords(language: Language): Promise<void> {
    const parts = await Promise.all([CATALOGUES[language](), this.isBeyondRoom ? LATER[language]() : null]);
    this.catalogue = { language, texts: { ...parts[0].default, ...parts[1]?.default } };
  }

  /** A screen and all that it says. */
  async open(screen: Screen): Promise<Awaited<ReturnType<Screen['load']>>> {
    if (screen.path !== '/' && this.laterWords === null) {
      this.isBeyondRoom = true;
      this.laterWords = this.loadWords(untrack(() => this.language));
    }
    const [loaded] = await Promise.all([screen.load(), this.laterWords]);
    return loaded;
  }

  async loadTowns(): Promise<void> {
    this.towns = (await import('../../basemap/places.json')).default as unknown as readonly Town[];
  }

  /** Ask who we are; begin the stream if we are somebody. */
  async begin(): Promise<void> {
    const answer = await get('/me');
    this.session = answer.kind === 'ok' ? readSession(answer.value) : null;
    this.isKnown = true;
    this.askedMs = performance.now();
    if (answer.kind === 'unreachable') setTimeout(() => void this.begin(), 3_000);
    if (this.session === null) return;
    this.live.isLoginDue = false;
    if (doesWatch(this.session)) await this.live.begin();
    else if (this.session.role === 'admin' && this.route.path === '/') this.route.go('/admin'); // who has no control room begins where his work is
  }

  /** The session after a password or a code was given. */
  proved(value: unknown): void {
    this.session = readSession(value) ?? this.session;
    this.proof = null;
    this.proofs += 1;
  }

  /** A hand was on the keyboard or the mouse. */
  touched(): void {
    this.inputMs = performance.now();
  }

  async leave(): Promise<void> {
    await post('/logout', {});
    this.live.end();
    window.location.assign('/');
  }

  /** One second: ages, and the tone that is due. */
  tick(): void {
    this.monoMs = performance.now();
    this.wallMs = Date.now();
    this.isSounding = this.sound.isRunning;
    if (this.session === null) return;
    void this.renew();
    if (this.isKiosk) return;
    const { tone, told } = due(this.told, {
      nowMs: this.monoMs,
      alerts: audible(this.live.alerts.values()),
      isLinkLost: this.stale.stream === 'red' && this.live.heardMs !== null,
      isFlood: this.live.stat?.isFlood ?? false,
      mutedUntilMs: this.mutedUntilMs,
    });
    this.told = told;
    if (tone !== null) this.sound.play(tone);
  }

  /** Once a minute: tell of a hand at the keyboard, and ask how the session stands. */
  private async renew(): Promise<void> {
    if (this.monoMs - this.askedMs < ASK_MS) return;
    this.askedMs = this.monoMs;
    if (this.inputMs > this.toldInputMs && this.session?.isNarrowed === false) {
      this.toldInputMs = this.inputMs;
      await post('/me/input', {});
    }
    const answer = await get('/me');
    if (answer.kind === 'ok') this.session = readSession(answer.value) ?? this.session;
    if (answer.kind === 'login') this.live.isLoginDue = true;
  }

  mute(): void {
    this.mutedUntilMs = performance.now() + MUTE_MS;
  }

  say(message: string): void {
    this.message = message;
    clearTimeout(this.messageTimer);
    this.messageTimer = setTimeout(() => (this.message = ''), MESSAGE_MS);
  }

  /** The screen in front takes the keys; the undo gives them back. */
  listen(actor: (action: Action) => boolean): () => void {
    this.actor = actor;
    return () => {
      if (this.actor === actor) this.actor = null;
    };
  }

  act(action: Action): boolean {
    return this.actor?.(action) ?? false;
  }
}

/** Alerts that may sound: unseen while their cause holds; out of a backlog, the worst of each unit. */
function audible(alerts: Iterable<Alert>): Alert[] {
  const late = new Map<number, Alert>();
  const loud: Alert[] = [];
  for (const alert of alerts) {
    if (alert.state !== 'UNACKED' || alert.under !== '') continue;
    if (!alert.isLate) loud.push(alert);
    else if ((late.get(alert.no)?.prio ?? 9) > alert.prio) late.set(alert.no, alert);
  }
  return [...loud, ...late.values()];
}

const NAME = Symbol('shell');

export function provideShell(shell: Shell): Shell {
  return setContext(NAME, shell);
}

export function useShell(): Shell {
  return getContext<Shell>(NAME);
}
