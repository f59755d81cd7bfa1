/**
 * What somebody draws, until it is proposed. Law: each change is a whole new value, so that every one of them can be undone;
 * it outlives the page, for this tab and this person alone.
 */
import { isFields, isList, numberOf, parsed, textOf } from '../lib/decode';
import { Refused } from '../lib/decode';
import type { Position } from '../lib/ground';
import { keep, keptOf } from '../shell/typed';
import { emptyShape, featureOf, isWhole, listsOf, readShape, rounded, withList } from './shape';
import type { Drawn, Shape } from './shape';

const UNDO_MAX = 200;

interface Content {
  readonly shapes: readonly Shape[];
  readonly withdraw: readonly string[];
  /** The version that was seen when it was begun: it goes back with what is undone, so that nobody is overtaken unseen. */
  readonly base: number;
}

const NOTHING: Content = { shapes: [], withdraw: [], base: 0 };

export class Draft {
  content = $state.raw<Content>(NOTHING);
  reason = $state('');
  /** Which shape, which list of its places, and which place of it. */
  at = $state(0);
  list = $state(0);
  vertex = $state(-1);
  private past = $state.raw<readonly Content[]>([]);
  private isMoving = false;

  readonly shapes = $derived(this.content.shapes);
  readonly withdraw = $derived(this.content.withdraw);
  readonly base = $derived(this.content.base);
  readonly shape = $derived(this.shapes[this.at] ?? null);
  readonly points: readonly Position[] = $derived(this.shape === null ? [] : (listsOf(this.shape.drawn)[this.list] ?? []));
  readonly isEmpty = $derived(this.shapes.length === 0 && this.withdraw.length === 0);
  readonly isWhole = $derived(!this.isEmpty && this.shapes.every(isWhole));
  readonly canUndo = $derived(this.past.length > 0);
  /** What the server is asked with. */
  readonly body = $derived({
    ...(this.shapes.length === 0 ? {} : { shapes: { type: 'FeatureCollection', features: this.shapes.map(featureOf) } }),
    withdraw: [...this.withdraw],
  });

  constructor(private readonly name: string) {
    this.restore();
  }

  begin(kind: Drawn['kind'], id: string): void {
    this.add([emptyShape(id, kind)]);
  }

  /** Shapes to be drawn anew, or new ones: each takes the place of the one with its id. */
  add(shapes: readonly Shape[]): void {
    const names = new Set(shapes.map(({ id }) => id));
    const kept = this.shapes.filter(({ id }) => !names.has(id));
    this.change({ ...this.content, shapes: [...kept, ...shapes], withdraw: this.withdraw.filter((id) => !names.has(id)) });
    this.select(kept.length);
  }

  /** Something else in its place; what stood there comes back with undo. */
  put(shapes: readonly Shape[], withdraw: readonly string[], base: number): void {
    this.change({ shapes, withdraw, base });
    this.select(0);
  }

  /** Of an empty draft: what is drawn from now on is drawn over this version. */
  stand(base: number): void {
    if (this.isEmpty && base !== this.base) this.content = { ...this.content, base };
  }

  /** Whoever was overtaken has looked, and lays his own over the newest version. */
  rebase(base: number): void {
    this.change({ ...this.content, base });
  }

  takeAway(id: string): void {
    this.change({ ...this.content, shapes: this.shapes.filter((one) => one.id !== id), withdraw: [...this.withdraw.filter((one) => one !== id), id] });
    this.select(0);
  }

  /** Leave a shape, or a withdrawal, out of the draft. */
  drop(id: string): void {
    this.change({ ...this.content, shapes: this.shapes.filter((one) => one.id !== id), withdraw: this.withdraw.filter((one) => one !== id) });
    this.select(0);
  }

  select(at: number): void {
    [this.at, this.list, this.vertex] = [Math.max(0, Math.min(at, this.shapes.length - 1)), 0, -1];
  }

  replace(shape: Shape): void {
    this.change({ ...this.content, shapes: this.shapes.map((one, n) => (n === this.at ? shape : one)) });
  }

  setPoints(points: readonly Position[], vertex = this.vertex): void {
    if (this.shape === null) return;
    this.replace({ ...this.shape, drawn: withList(this.shape.drawn, this.list, points) });
    this.vertex = Math.min(vertex, points.length - 1);
  }

  /** A place after the chosen one, or at the end. */
  insert(place: Position): void {
    const after = this.vertex < 0 ? this.points.length - 1 : this.vertex;
    this.setPoints(this.points.toSpliced(after + 1, 0, [rounded(place[0]), rounded(place[1])]), after + 1);
  }

  remove(vertex: number): void {
    this.setPoints(this.points.toSpliced(vertex, 1), Math.min(vertex, this.points.length - 2));
  }

  /** While a corner is dragged: one step of undo for the whole way. */
  move(vertex: number, place: Position, isDone: boolean): void {
    if (this.shape === null) return;
    const points = this.points.with(vertex, [rounded(place[0]), rounded(place[1])]);
    this.slide({ ...this.shape, drawn: withList(this.shape.drawn, this.list, points) }, isDone);
    this.vertex = vertex;
  }

  /** The chosen shape as it is on its way, until it is done. */
  slide(shape: Shape, isDone: boolean): void {
    const next = { ...this.content, shapes: this.shapes.map((one, n) => (n === this.at ? shape : one)) };
    if (this.isMoving) this.content = next;
    else this.change(next);
    this.isMoving = !isDone;
  }

  undo(): void {
    const before = this.past.at(-1);
    if (before === undefined) return;
    this.past = this.past.slice(0, -1);
    this.content = before;
    this.at = Math.max(0, Math.min(this.at, before.shapes.length - 1));
    this.list = Math.min(this.list, Math.max(0, (this.shape === null ? 1 : listsOf(this.shape.drawn).length) - 1));
    this.vertex = Math.min(this.vertex, this.points.length - 1);
  }

  /** Thrown away by hand: a press beside the button costs nobody a border, undo brings it back. */
  discard(): void {
    this.put([], [], this.base);
  }

  /** It has become a proposal: nothing of it is left, and nothing comes back. */
  clear(): void {
    this.discard();
    this.reason = '';
    this.past = [];
  }

  /** An id that neither the draft nor what is in force has. */
  free(taken: readonly string[], stem: string): string {
    const names = new Set([...taken, ...this.shapes.map(({ id }) => id)]);
    for (let n = 1; ; n += 1) if (!names.has(`${stem}-${n}`)) return `${stem}-${n}`;
  }

  /** Into this tab's own store: a page that is left by mistake loses nothing. */
  save(): void {
    keep(this.name, this.isEmpty ? '' : JSON.stringify({ base: this.base, reason: this.reason, ...this.body }));
  }

  private restore(): void {
    const kept = parsed(keptOf(this.name));
    if (!isFields(kept)) return;
    const features = isFields(kept['shapes']) && isList(kept['shapes']['features']) ? kept['shapes']['features'] : [];
    const shapes = features.map(readShape).filter((one): one is Shape => !(one instanceof Refused));
    this.content = { shapes, withdraw: isList(kept['withdraw']) ? kept['withdraw'].map(String) : [], base: numberOf(kept['base']) ?? 0 };
    this.reason = textOf(kept['reason']) ?? '';
  }

  private change(next: Content): void {
    this.past = [...this.past.slice(1 - UNDO_MAX), this.content];
    this.content = next;
    this.isMoving = false;
  }
}
