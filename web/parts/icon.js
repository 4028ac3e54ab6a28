// Small drawings; they say nothing that is not said in words beside them.
import {html} from '../ui.js';

const paths = {
  logo: html`<path d="M3 14h18l-3 5.5H6z" fill="currentColor" stroke="none" /><circle cx="9" cy="7.5" r="3" /><path d="M12 7.5h8M17.5 7.5v3.5" />`,
  plus: html`<path d="M12 5v14M5 12h14" />`,
  back: html`<path d="M15 5l-7 7 7 7" />`,
  play: html`<path d="M7 5l12 7-12 7z" fill="currentColor" />`,
  pause: html`<path d="M8 5v14M16 5v14" />`,
  stop: html`<rect x="6" y="6" width="12" height="12" rx="1.5" />`,
  flag: html`<path d="M6 21V4h11l-2.5 4L17 12H6" />`,
  swap: html`<path d="M4 9h15l-4-4M20 15H5l4 4" />`,
  edit: html`<path d="M4 20l1-4L16.5 4.5l3 3L8 19z" />`,
  bin: html`<path d="M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13" />`,
  file: html`<path d="M6 3h8l4 4v14H6zM14 3v4h4" />`,
  check: html`<path d="M5 12.5l4.5 4.5L19 7.5" />`,
  cross: html`<path d="M6 6l12 12M18 6L6 18" />`,
  warn: html`<path d="M12 4l9 16H3zM12 10v4M12 17v.5" />`,
  skip: html`<path d="M5 12h14" />`,
  'theme-auto': html`<circle cx="12" cy="12" r="8" /><path d="M12 4a8 8 0 010 16z" fill="currentColor" />`,
  'theme-light': html`<circle cx="12" cy="12" r="4" /><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M18.4 5.6L17 7M7 17l-1.4 1.4" />`,
  'theme-dark': html`<path d="M19 14.5A8 8 0 119.5 5a6.5 6.5 0 009.5 9.5z" />`,
};

export function Icon({name}) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">${paths[name]}</svg>`;
}
