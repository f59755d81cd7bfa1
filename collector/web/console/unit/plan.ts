/** The planned corridor of a journey, out of the answer of `/fences`. Law: the route that is named, or none. */
import { isFields, isList, textOf } from '../lib/decode';

export function planOf(answer: unknown, route: string): GeoJSON.FeatureCollection {
  const features = route !== '' && isFields(answer) && isList(answer['features']) ? answer['features'] : [];
  return {
    type: 'FeatureCollection',
    features: features.filter(isFields).flatMap((feature) => {
      const { geometry, properties } = feature;
      if (!isFields(geometry) || !isFields(properties) || ![properties['id'], properties['name']].includes(route)) return [];
      if (!(textOf(geometry['type']) ?? '').endsWith('LineString')) return [];
      return [{ type: 'Feature' as const, geometry: geometry as unknown as GeoJSON.Geometry, properties: { kind: 'route', name: route } }];
    }),
  };
}
