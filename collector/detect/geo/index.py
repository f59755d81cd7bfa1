"""Where the edges of many zones lie: a two-level table of cells, and boxes for membership (DETECTION section 4).

Law: an answer "nothing here" is never wrong. Everything is in integers; what is beside a cell's border is in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from collector.detect.geo import BoolArray, IntArray, Zone
from collector.detect.geo.measure import HALF_TURN_E7, scale

CELL_E7 = 100_000  # 0.01 degree: 1.1 km
BLOCK = 100  # cells on a side of a block: one degree
ROWS, COLUMNS = 181, 361  # blocks of the world; 90 N and 180 E have their own
CELLS_MAX = 3  # a longer segment is looked up by its own cells, not by its box
LONG_E7 = (
    50_000_000  # 5 degrees: products of differences stay below 2^63; longer ones are never asked
)

SmallArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ZoneIndex:
    """All edges of all zones, by cell."""

    zones: tuple[Zone, ...]
    edges: IntArray  # (m, 4) as in Zone
    boxes: IntArray  # (m, 4): least x, y, most x, y of each edge
    zone_of: IntArray  # (m,) index into `zones`
    blocks: SmallArray  # (ROWS * COLUMNS,): number of a block, or -1
    cells: SmallArray  # (blocks * BLOCK * BLOCK,): number of a cell with edges, or -1
    begins: IntArray  # (cells + 1,): where a cell's edges begin in `listed`
    listed: IntArray
    tree: shapely.STRtree
    shapes: NDArray[np.object_]  # of the zones, prepared

    def edges_near(self, least_x: int, least_y: int, most_x: int, most_y: int) -> IntArray:
        """Numbers of the edges in the cells of a box: all that reach into it, and some beside it."""
        found: list[IntArray] = []
        for column in range(least_x // CELL_E7, most_x // CELL_E7 + 1):
            for row in range(least_y // CELL_E7, most_y // CELL_E7 + 1):
                cell = self._cell(column, row)
                if cell >= 0:
                    found.append(self.listed[self.begins[cell] : self.begins[cell + 1]])
        if not found:
            return _NONE
        return found[0] if len(found) == 1 else np.unique(np.concatenate(found))

    def holding(self, x: int, y: int) -> list[int]:
        """The zones that hold a place, in their order; the boundary belongs to them."""
        # the tree prepares the query, not what it holds (5.8 k/s with five borders in it): so boxes first, then pair by pair
        boxed = self.tree.query(shapely.Point(x, y))
        inside = boxed[shapely.intersects_xy(self.shapes[boxed], x, y)]
        numbers: list[int] = np.sort(inside).tolist()
        return numbers

    def cells_at(self, column: IntArray, row: IntArray) -> IntArray:
        """The cell with edges at each column and row of 0.01 degree, -1 where there is none."""
        column = column + 180 * BLOCK
        row = row + 90 * BLOCK
        known = (column >= 0) & (column < COLUMNS * BLOCK) & (row >= 0) & (row < ROWS * BLOCK)
        if len(self.cells) == 0:
            return np.full(len(column), -1, np.int64)
        column, row = np.where(known, column, 0), np.where(known, row, 0)
        block = self.blocks[row // BLOCK * COLUMNS + column // BLOCK].astype(np.int64)
        at = (np.maximum(block, 0) * BLOCK + row % BLOCK) * BLOCK + column % BLOCK
        cell: IntArray = np.where(known & (block >= 0), self.cells[at], -1).astype(np.int64)
        return cell

    def _cell(self, column: int, row: int) -> int:
        column += 180 * BLOCK
        row += 90 * BLOCK
        if not (0 <= column < COLUMNS * BLOCK and 0 <= row < ROWS * BLOCK):
            return -1
        block = int(self.blocks[row // BLOCK * COLUMNS + column // BLOCK])
        if block < 0:
            return -1
        return int(self.cells[(block * BLOCK + row % BLOCK) * BLOCK + column % BLOCK])


_NONE: IntArray = np.empty(0, np.int64)


def build_index(zones: Sequence[Zone]) -> ZoneIndex:
    """The index of these zones, in their order."""
    edges = np.concatenate([zone.edges for zone in zones]) if zones else np.empty((0, 4), np.int64)
    zone_of = np.repeat(np.arange(len(zones)), [len(zone.edges) for zone in zones])
    number, column, row = _cells_of(edges)
    column += 180 * BLOCK
    row += 90 * BLOCK
    block_at = row // BLOCK * COLUMNS + column // BLOCK
    used = np.unique(block_at)
    blocks = np.full(ROWS * COLUMNS, -1, np.int32)
    blocks[used] = np.arange(len(used))
    cell_at = (blocks[block_at].astype(np.int64) * BLOCK + row % BLOCK) * BLOCK + column % BLOCK
    order = np.argsort(cell_at, kind="stable")
    with_edges, begins = np.unique(cell_at[order], return_index=True)
    cells = np.full(len(used) * BLOCK * BLOCK, -1, np.int32)
    cells[with_edges] = np.arange(len(with_edges))
    shapes = np.array([zone.shape for zone in zones], dtype=object)
    tree = shapely.STRtree(shapes)
    tree.query(shapely.Point(0, 0))  # the first question makes the tree: not in a tick
    return ZoneIndex(
        zones=tuple(zones),
        edges=edges,
        boxes=np.concatenate(
            [np.minimum(edges[:, :2], edges[:, 2:]), np.maximum(edges[:, :2], edges[:, 2:])], axis=1
        ),
        zone_of=zone_of,
        blocks=blocks,
        cells=cells,
        begins=np.append(begins, len(order)),
        listed=number[order],
        tree=tree,
        shapes=shapes,
    )


def touched(
    index: ZoneIndex,
    ax: IntArray,
    ay: IntArray,
    bx: IntArray,
    by: IntArray,
    allowed: BoolArray | None = None,
    group: IntArray | None = None,
) -> BoolArray:
    """Whether each segment meets an edge of any zone; True as well where the question was too long to ask.

    `allowed` (groups, zones): which zones concern a row's `group`; None: all.
    """
    hit = np.zeros(len(ax), np.bool_)
    if len(index.edges) == 0 or len(ax) == 0:
        return hit
    left, right = np.minimum(ax, bx) // CELL_E7, np.maximum(ax, bx) // CELL_E7
    low, high = np.minimum(ay, by) // CELL_E7, np.maximum(ay, by) // CELL_E7
    wide, tall = right - left, high - low
    too_long = (wide >= CELLS_MAX) | (tall >= CELLS_MAX)
    hit |= too_long & _any_edges(index, left, low, right, high, too_long)
    for step_x in range(CELLS_MAX):
        for step_y in range(CELLS_MAX):
            asked = np.flatnonzero((wide >= step_x) & (tall >= step_y) & ~hit & ~too_long)
            if len(asked) == 0:
                continue
            cell = index.cells_at(left[asked] + step_x, low[asked] + step_y)
            here = cell >= 0
            rows = asked[here]
            if len(rows):
                _test(index, rows, cell[here], (ax, ay, bx, by), hit, allowed, group)
    return hit


def meets(
    ax: IntArray | int, ay: IntArray | int, bx: IntArray | int, by: IntArray | int, edges: IntArray
) -> BoolArray:
    """Whether closed segments A-B meet closed edges: by the signs of four cross products in int64, exact."""
    cx, cy, dx, dy = edges[:, 0], edges[:, 1], edges[:, 2], edges[:, 3]
    c_side = np.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
    d_side = np.sign((bx - ax) * (dy - ay) - (by - ay) * (dx - ax))
    a_side = np.sign((dx - cx) * (ay - cy) - (dy - cy) * (ax - cx))
    b_side = np.sign((dx - cx) * (by - cy) - (dy - cy) * (bx - cx))
    crossing = (c_side * d_side <= 0) & (a_side * b_side <= 0)
    on_one_line = (c_side == 0) & (d_side == 0) & (a_side == 0) & (b_side == 0)
    beside = (
        (np.maximum(ax, bx) < np.minimum(cx, dx))
        | (np.minimum(ax, bx) > np.maximum(cx, dx))
        | (np.maximum(ay, by) < np.minimum(cy, dy))
        | (np.minimum(ay, by) > np.maximum(cy, dy))
    )
    met: BoolArray = crossing & ~(on_one_line & beside)
    return met


def box_around(x: int, y: int, reach_m: float) -> tuple[int, int, int, int]:
    """A box that holds every place up to this far away: least x, y, most x, y."""
    k_lon, k_lat = scale(y)
    reach_y = int(reach_m / k_lat) + 1
    reach_x = min(int(reach_m / max(k_lon, 1e-9) * 1.01) + 1, 2 * HALF_TURN_E7)
    return x - reach_x, y - reach_y, x + reach_x, y + reach_y


def _test(
    index: ZoneIndex,
    rows: IntArray,
    cell: IntArray,
    segments: tuple[IntArray, IntArray, IntArray, IntArray],
    hit: BoolArray,
    allowed: BoolArray | None,
    group: IntArray | None,
) -> None:
    """Marks the rows whose segment meets an edge of their cell."""
    begins, counts = index.begins[cell], index.begins[cell + 1] - index.begins[cell]
    pair_row = np.repeat(rows, counts)
    within = np.arange(len(pair_row)) - np.repeat(np.cumsum(counts) - counts, counts)
    edge = index.listed[np.repeat(begins, counts) + within]
    if allowed is not None and group is not None:
        mine = allowed[group[pair_row], index.zone_of[edge]]
        pair_row, edge = pair_row[mine], edge[mine]
    ax, ay, bx, by = (column[pair_row] for column in segments)
    hit[pair_row[meets(ax, ay, bx, by, index.edges[edge])]] = True


def _any_edges(
    index: ZoneIndex,
    left: IntArray,
    low: IntArray,
    right: IntArray,
    high: IntArray,
    asked: BoolArray,
) -> BoolArray:
    """For the few long rows: whether any cell of their box holds an edge. Boxes over 5 degrees: True."""
    some = np.zeros(len(left), np.bool_)
    for at in np.flatnonzero(asked).tolist():
        columns = np.arange(left[at], right[at] + 1)
        rows = np.arange(low[at], high[at] + 1)
        if len(columns) * CELL_E7 > LONG_E7 or len(rows) * CELL_E7 > LONG_E7:
            some[at] = True
            continue
        grid_x, grid_y = np.meshgrid(columns, rows)
        some[at] = bool((index.cells_at(grid_x.ravel(), grid_y.ravel()) >= 0).any())
    return some


def _cells_of(edges: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """(edge, column, row) of every cell that an edge touches, and a few beside it."""
    if len(edges) == 0:
        return _NONE, _NONE.copy(), _NONE.copy()
    y1, y2 = edges[:, 1], edges[:, 3]
    low, high = np.minimum(y1, y2) // CELL_E7, np.maximum(y1, y2) // CELL_E7
    tall = high - low + 1
    number = np.repeat(np.arange(len(edges)), tall)
    row = low[number] + np.arange(len(number)) - np.repeat(np.cumsum(tall) - tall, tall)
    x1, y1, x2, y2 = (edges[number, column].astype(np.float64) for column in range(4))
    rise = np.where(y2 == y1, 1.0, y2 - y1)
    at_low = np.clip((row * CELL_E7 - y1) / rise, 0.0, 1.0)
    at_high = np.clip(((row + 1) * CELL_E7 - y1) / rise, 0.0, 1.0)
    flat = y2 == y1
    x_low = np.where(flat, x1, x1 + at_low * (x2 - x1))
    x_high = np.where(flat, x2, x1 + at_high * (x2 - x1))
    # two e7 degrees of room for what floats have rounded
    left = np.floor((np.minimum(x_low, x_high) - 2) / CELL_E7).astype(np.int64)
    right = np.floor((np.maximum(x_low, x_high) + 2) / CELL_E7).astype(np.int64)
    wide = right - left + 1
    again = np.repeat(np.arange(len(number)), wide)
    column = left[again] + np.arange(len(again)) - np.repeat(np.cumsum(wide) - wide, wide)
    return number[again], column, row[again]
