/**
 * What the centre keeps of zones and routes: in force, proposed, and as they were. Law: of two answers the newer question's counts,
 * and what could not be had is said; what was read before stays, with that word beside it.
 */
import { Refused } from '../lib/decode';
import type { Words } from '../lib/words';
import { get } from '../shell/client';
import type { Answer } from '../shell/client';
import { readInForce, readProposals, readVersions } from './board';
import type { InForce, Page, Proposal, Version } from './board';
import { reasonOf } from './reasons';

const NO_ROWS = { rows: [], more: '' };

export class Kept {
  force = $state.raw<InForce | null>(null);
  /** An older version that is looked at; null: none, or it is not here yet. */
  older = $state.raw<InForce | null>(null);
  versions = $state.raw<Page<Version>>(NO_ROWS);
  proposals = $state.raw<Page<Proposal>>(NO_ROWS);
  /** Why the newest question was not answered. */
  lost = $state('');
  /** Why the next page, or the older version, did not come. */
  wrong = $state('');
  isBusy = $state(false);
  private turn = 0;
  private looked = 0;

  constructor(private readonly words: () => Words) {}

  async load(): Promise<void> {
    const mine = (this.turn += 1);
    const answers = await Promise.all([get('/fences'), get('/fences/versions'), get('/fences/proposals')]);
    if (mine !== this.turn) return;
    const bad = answers.find(({ kind }) => kind !== 'ok');
    this.lost = bad === undefined ? '' : reasonOf(this.words(), bad);
    const [now, told, asked] = answers;
    const shapes = read(now, readInForce);
    if (shapes !== null) {
      if (shapes.version !== this.force?.version) this.force = shapes;
      else if (shapes.obeyed !== this.force.obeyed) this.force = { ...this.force, obeyed: shapes.obeyed };
    }
    const first = read(told, readVersions);
    if (first !== null && first.rows[0]?.version !== this.versions.rows[0]?.version) this.versions = first;
    const page = read(asked, readProposals);
    if (page === null) return;
    const known = new Set(page.rows.map(({ id }) => id));
    const rest = this.proposals.rows.filter(({ id }) => !known.has(id) && id < (page.rows.at(-1)?.id ?? 0)); // pages that were opened stay
    this.proposals = { rows: [...page.rows, ...rest], more: rest.length > 0 ? this.proposals.more : page.more };
  }

  /** Look at an older version; null: at what is in force. */
  async look(version: number | null): Promise<void> {
    const mine = (this.looked += 1);
    [this.older, this.wrong] = [null, ''];
    if (version === null) return;
    const answer = await get(`/fences?version=${version}`);
    if (mine !== this.looked) return;
    this.older = read(answer, readInForce);
    if (this.older === null) this.wrong = answer.kind === 'ok' ? this.words().text('fence.wrong.version') : reasonOf(this.words(), answer);
  }

  async moreVersions(): Promise<void> {
    const page = await this.next(`/fences/versions?after=${this.versions.more}`, readVersions);
    if (page !== null) this.versions = { rows: [...this.versions.rows, ...page.rows.filter(({ version }) => version < (this.versions.rows.at(-1)?.version ?? version + 1))], more: page.more };
  }

  async moreProposals(): Promise<void> {
    const page = await this.next(`/fences/proposals?after=${this.proposals.more}`, readProposals);
    if (page !== null) this.proposals = { rows: [...this.proposals.rows, ...page.rows.filter(({ id }) => id < (this.proposals.rows.at(-1)?.id ?? id + 1))], more: page.more };
  }

  private async next<T>(path: string, reader: (value: unknown) => T | Refused): Promise<T | null> {
    this.isBusy = true;
    const answer = await get(path);
    this.isBusy = false;
    this.wrong = answer.kind === 'ok' ? '' : reasonOf(this.words(), answer);
    return read(answer, reader);
  }
}

function read<T>(answer: Answer, reader: (value: unknown) => T | Refused): T | null {
  const found = answer.kind === 'ok' ? reader(answer.value) : null;
  return found instanceof Refused ? null : found;
}
