// A line over time: the present value and the highest above it, the value under the pointer while there is one.
import {html, useEffect, useRef, useState} from '../ui.js';
import {t} from '../words.js';
import uPlot from '../vendor/uPlot.js';

const HEIGHT = 150;
const dark = matchMedia('(prefers-color-scheme: dark)');
// Sizes are divided where their units are.
const binary = Array.from({length: 44}, (_, power) => 2 ** power);
const whole = Array.from({length: 40}, (_, at) => [1, 2, 5][at % 3] * 10 ** Math.floor(at / 3));
// Older than this, in seconds, the last value is not the present one.
const STALE_S = 90;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const clock = (second, long) => new Date(second * 1000).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', ...(long ? {second: '2-digit'} : {}), hour12: false});

// shown: {current: {format, begin, end}}, which may change. point: called with the number of the value under the pointer, or null.
function build(box, {tint, sizes, counts, shown, point}) {
  const axis = {stroke: colour('--dim'), grid: {stroke: colour('--line'), width: 1}, ticks: {show: false}, font: '11px system-ui, sans-serif'};
  return new uPlot({
    width: Math.max(box.clientWidth, 200), height: HEIGHT, legend: {show: false}, cursor: {y: false, drag: {x: false, y: false}, points: {size: 7}},
    scales: {x: {time: true, range: () => [shown.current.begin, shown.current.end]}, y: {range: (_, low, high) => [0, high > 0 ? high * 1.15 : 1]}},
    axes: [{...axis, size: 26, space: 80, values: (_, at) => at.map((second) => clock(second))},
      {...axis, size: 76, space: 34, ...(sizes ? {incrs: binary} : counts ? {incrs: whole} : {}), values: (_, at) => at.map((value) => shown.current.format(value))}],
    series: [{}, {stroke: colour(tint), fill: `${colour(tint)}22`, width: 2, points: {show: false}}],
    hooks: {setCursor: [(plot) => point(plot.cursor.idx ?? null)]},
  }, [[], []], box);
}

// times and values: arrays of the same length; null breaks the line. revision: changes when they have. begin, end: of the time that is shown. sizes, counts: the values are bytes, or whole numbers. growing: the highest value is the present one.
export function Chart({title, times, values, revision, begin, end, format, sizes, counts, growing, tint = '--accent'}) {
  const box = useRef();
  const plot = useRef();
  const shown = useRef();
  const data = useRef();
  const [at, setAt] = useState(null);
  shown.current = {format, begin, end};
  data.current = [times, values];
  useEffect(() => {
    const make = () => {
      if (!box.current) return;
      plot.current?.destroy();
      plot.current = build(box.current, {tint, sizes, counts, shown, point: setAt});
      plot.current.setData(data.current);
    };
    make();
    const widths = new ResizeObserver(() => box.current && plot.current.setSize({width: Math.max(box.current.clientWidth, 200), height: HEIGHT}));
    widths.observe(box.current);
    const themes = new MutationObserver(make);
    themes.observe(document.documentElement, {attributes: true, attributeFilter: ['data-theme']});
    dark.addEventListener('change', make);
    return () => {
      widths.disconnect();
      themes.disconnect();
      dark.removeEventListener('change', make);
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData(data.current), [revision]);
  const known = values.filter((value) => value != null);
  const now = values.at(-1) != null && end - times.at(-1) < STALE_S ? format(values.at(-1)) : '–';
  const most = known.length && !growing ? t('chart.most', {value: format(known.reduce((high, value) => Math.max(high, value), 0))}) : '';
  const pointed = at != null && at < times.length && values[at] != null;
  return html`<figure class="chart"><figcaption><span>${title}</span>
      <span class="num">${pointed ? html`<span class="dim small">${clock(times[at], true)}</span> <b>${format(values[at])}</b>` : html`<span class="dim small">${most}</span> <b>${now}</b>`}</span></figcaption>
    <div ref=${box} class="plot" role="img" aria-label=${`${title}: ${now}${most && `, ${most}`}`}></div></figure>`;
}
