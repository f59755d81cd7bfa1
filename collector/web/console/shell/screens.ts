/**
 * The screens, each loaded when it is first opened. Law: a screen is a folder; none imports another.
 * Who adds one writes a line here and a row `nav.<name>` into each locale.
 */
import type { Component } from 'svelte';
import { WATCHING } from './session';

export interface Screen {
  readonly name: string;
  /** The path's first part; `/` for the control room. */
  readonly path: string;
  /** The key after `g`; '' for none. */
  readonly key: string;
  /** Whether it stands in the navigation. */
  readonly isListed: boolean;
  /** Roles that may open it. */
  readonly roles: readonly string[];
  load(): Promise<{ readonly default: Component }>;
}

const ACTING = ['operator', 'supervisor', 'auditor', 'admin'] as const;

export const SCREENS: readonly Screen[] = [
  { name: 'room', path: '/', key: 'm', isListed: true, roles: WATCHING, load: () => import('../room/Room.svelte') },
  { name: 'fences', path: '/fences', key: 'f', isListed: true, roles: ACTING, load: () => import('../fences/Fences.svelte') },
  { name: 'kpi', path: '/kpi', key: 'k', isListed: true, roles: ['operator', 'supervisor', 'auditor'], load: () => import('../kpi/Kpi.svelte') },
  { name: 'unit', path: '/unit', key: '', isListed: false, roles: ['operator', 'supervisor', 'auditor'], load: () => import('../unit/Unit.svelte') },
  { name: 'evidence', path: '/evidence', key: '', isListed: false, roles: ['operator', 'supervisor', 'auditor'], load: () => import('../evidence/Evidence.svelte') },
  { name: 'audit', path: '/audit', key: '', isListed: true, roles: ACTING, load: () => import('../audit/Audit.svelte') },
  { name: 'admin', path: '/admin', key: '', isListed: true, roles: ['auditor', 'admin'], load: () => import('../admin/Admin.svelte') },
  { name: 'handover', path: '/handover', key: 'h', isListed: true, roles: ['operator', 'supervisor'], load: () => import('../handover/Handover.svelte') },
];

export function screenAt(path: string): Screen | null {
  const first = `/${path.split('/')[1] ?? ''}`;
  return SCREENS.find((screen) => screen.path === first) ?? null;
}
