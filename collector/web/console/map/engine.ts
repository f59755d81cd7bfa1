/** MapLibre's worker, bundled with ours: its own guess is a file beside its source. */
import { setWorkerUrl } from 'maplibre-gl';
import './map.css';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';

setWorkerUrl(new URL(workerUrl, window.location.href).href);
