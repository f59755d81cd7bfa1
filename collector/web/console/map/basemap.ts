/** The offline basemap as a style: countries, borders, places. Law: no address outside, no glyphs: local fonts. A border here is for the eye. */
import type { StyleSpecification } from 'maplibre-gl';
import regionUrl from '../../basemap/region.json?url';
import type { Town } from '../lib/place';
import type { Language } from '../lib/words';
import { textPx } from './colours';
import type { Palette } from './colours';

export const BOUNDS: [number, number, number, number] = [55.9, 37.1, 73.2, 45.7]; // Uzbekistan
export const CENTRE = { lon: 64.5, lat: 41.4 };
export const NOTHING: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };
export const FONT = ['Segoe UI', 'Roboto', 'Noto Sans', 'DejaVu Sans', 'sans-serif'];

export function styleOf(colours: Palette, towns: readonly Town[], language: Language, isDim: boolean): StyleSpecification {
  return {
    version: 8,
    transition: { duration: 0, delay: 0 },
    sources: {
      region: { type: 'geojson', data: new URL(regionUrl, window.location.href).href },
      towns: { type: 'geojson', data: townsOf(towns, language) },
      shapes: { type: 'geojson', data: NOTHING },
    },
    layers: [
      { id: 'ground', type: 'background', paint: { 'background-color': colours.ground } },
      { id: 'land', type: 'fill', source: 'region', paint: { 'fill-color': colours.panel, 'fill-opacity': ['case', ['==', ['get', 'id'], 'UZ'], 1, 0.45] } },
      { id: 'borders', type: 'line', source: 'region', paint: { 'line-color': colours.line, 'line-width': 1, 'line-opacity': isDim ? 0.4 : 0.8 } },
      {
        id: 'fences', type: 'line', source: 'shapes', filter: ['==', ['get', 'kind'], 'fence'],
        paint: { 'line-color': colours.line, 'line-width': 1.5, 'line-dasharray': [1, 2] },
      },
      {
        id: 'corridors', type: 'line', source: 'shapes', filter: ['==', ['get', 'kind'], 'route'],
        paint: { 'line-color': colours.line, 'line-width': 1 },
      },
      {
        id: 'towns', type: 'symbol', source: 'towns',
        layout: {
          'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': textPx() - 1, 'text-padding': 6,
          'symbol-sort-key': ['-', 0, ['get', 'people']], 'text-variable-anchor': ['top', 'bottom', 'left', 'right'],
          'text-radial-offset': 0.4, visibility: isDim ? 'none' : 'visible',
        },
        paint: { 'text-color': colours.muted, 'text-halo-color': colours.panel, 'text-halo-width': 1 },
      },
    ],
  };
}

function townsOf(towns: readonly Town[], language: Language): GeoJSON.FeatureCollection {
  return {
    type: 'FeatureCollection',
    features: towns.map(({ lon, lat, people, names }) => ({
      type: 'Feature',
      geometry: { type: 'Point', coordinates: [lon, lat] },
      properties: { name: names[language], people },
    })),
  };
}
