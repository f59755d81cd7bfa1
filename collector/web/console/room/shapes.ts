/** Fences and corridors for the map, from the answer of `/fences`. Law: drawn as they are in force; a shape that cannot be read is left away. */
import { isFields, isList, textOf } from '../lib/decode';

const LINES = ['LineString', 'MultiLineString'];
const AREAS = ['Polygon', 'MultiPolygon'];

export function shapesOf(answer: unknown): GeoJSON.FeatureCollection {
  const features = isFields(answer) && isList(answer['features']) ? answer['features'] : [];
  return { type: 'FeatureCollection', features: features.flatMap(shapeOf) };
}

function shapeOf(feature: unknown): GeoJSON.Feature[] {
  if (!isFields(feature) || !isFields(feature['geometry'])) return [];
  const { geometry } = feature;
  const type = textOf(geometry['type']) ?? '';
  const kind = LINES.includes(type) ? 'route' : AREAS.includes(type) ? 'fence' : null;
  if (kind === null || !isList(geometry['coordinates'])) return [];
  const properties = isFields(feature['properties']) ? feature['properties'] : {};
  return [
    {
      type: 'Feature',
      geometry: geometry as unknown as GeoJSON.Geometry,
      properties: { kind, name: textOf(properties['name']) ?? textOf(properties['id']) ?? '' },
    },
  ];
}
