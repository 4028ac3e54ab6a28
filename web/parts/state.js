// A task's state as a coloured word.
import {html} from '../ui.js';
import {word} from '../words.js';

const tones = {
  streaming: 'good', finished: 'good', ready: 'calm', created: 'calm', snapshot: 'busy', prechecking: 'busy', starting: 'busy', stopping: 'busy', paused: 'warn',
  failed: 'bad', 'precheck-failed': 'bad', connecting: 'busy', stopped: 'warn',
};

export const tone = (state) => tones[state] ?? 'calm';

// colour: another than the state's own, where it is not all.
export function State({state, colour}) {
  return html`<span class=${`state ${colour ?? tone(state)}`}><span class="dot" aria-hidden="true"></span>${word('state', state)}</span>`;
}

export function Progress({share, label}) {
  if (share == null) return null;
  const percent = Math.floor(share * 1000) / 10;
  return html`<div class="progress" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent}>
    <div class="progress-bar" style=${{width: `${percent}%`}}></div></div>`;
}
