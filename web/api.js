// The daemon's API (docs/api.md): calls, problems, live events.
import {language} from './words.js';
import {signal} from './ui.js';

// Who we are: undefined until the daemon has been asked, null without a login.
export const session = signal(undefined);

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `HTTP ${status}`);
    this.status = status;
    // The last word of its URN: "document-invalid".
    this.type = body?.type?.split(':').at(-1);
    this.told = body?.detail;
    this.hint = body?.hint;
    this.errors = body?.errors ?? [];
  }
}

async function problemOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Not ours: a proxy's page.
  }
  return new Problem(response.status, body);
}

// What is not answered for this long is not going to be: a network that has gone away says nothing.
const PATIENCE_MS = 60000;

// options: body (an object, sent as JSON), yaml (a text), accept, headers, patience (ms). Returns the answer's JSON, or its text.
export async function call(method, path, options = {}) {
  const headers = {Accept: options.accept ?? 'application/json', 'Accept-Language': language.get(), ...options.headers};
  let body;
  if (options.yaml !== undefined) {
    headers['Content-Type'] = 'application/yaml';
    body = options.yaml;
  } else if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(options.body);
  }
  const csrf = session.get()?.csrf_token;
  if (csrf && method !== 'GET') headers['X-CSRF-Token'] = csrf;
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {method, headers, body, credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(options.patience ?? PATIENCE_MS)});
  } catch {
    throw new Problem(0, null);
  }
  if (response.ok) {
    if (response.status === 204) return null;
    return headers.Accept === 'application/json' ? response.json() : response.text();
  }
  const problem = await problemOf(response);
  if (response.status === 401 && path !== '/session') session.set(null);
  throw problem;
}

export const get = (path) => call('GET', path);
export const post = (path, body) => call('POST', path, {body});
export const put = (path, body, headers) => call('PUT', path, {body, headers});
export const remove = (path) => call('DELETE', path);
export const taskPath = (id, rest = '') => `/tasks/${encodeURIComponent(id)}${rest}`;

// Asks who we are. On a loopback address nobody has to log in.
export async function whoAmI() {
  try {
    session.set(await call('GET', '/session', {patience: 10000}));
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    session.set(null);
  }
}

export async function logIn(token) {
  session.set(await post('/session', {token}));
}

export async function logOut() {
  await remove('/session').catch(() => null);
  await whoAmI();
}

const roles = ['viewer', 'operator', 'admin'];
export const may = (role) => roles.indexOf(session.get()?.role) >= roles.indexOf(role);

// Is the daemon's stream of events there? null: nobody listens. For the mark in the page's head.
export const live = signal(null);

// After a stream that has said nothing for this long the daemon is asked how it is: a network that goes away, or a daemon that hangs, closes no connection.
const QUIET_MS = 15000;
const HEALTH_MS = 10000;

// Listens to server-sent events until the function that it returns is called. handlers: {event: function of its data}; opened: called each time that the stream (again) is there,
// for what has happened meanwhile is told in part only; with true where the browser itself has come again, with the last id. mark: false where another stream is the one of the mark.
// A tab that nobody sees does not listen: a browser has few connections for one server. Where the stream ends for good, it is begun anew after a while, unless we have been logged out.
export function listen(path, handlers, opened = () => null, mark = true) {
  let source = null;
  let timer = null;
  let left = false;
  let heard = 0;
  const tell = (there) => mark && live.set(there);
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
    tell(null);
  };
  const open = () => {
    close();
    if (left || document.hidden) return;
    source = new EventSource(`/api/v1${path}`);
    let again = false;
    tell(false);
    source.onopen = () => {
      tell(true);
      heard = Date.now();
      opened(again);
      again = true;
    };
    source.onerror = () => {
      tell(false);
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(() => whoAmI().then(() => session.get() && open(), open), 2000);
    };
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        heard = Date.now();
        handler(JSON.parse(event.data));
      });
    }
  };
  const look = () => {
    if (source?.readyState !== EventSource.OPEN || Date.now() - heard < QUIET_MS) return;
    heard = Date.now();
    call('GET', '/health', {patience: HEALTH_MS}).catch((problem) => problem.status === 0 && !left && open());
  };
  const looks = setInterval(look, QUIET_MS / 5);
  document.addEventListener('visibilitychange', open);
  open();
  return () => {
    left = true;
    clearInterval(looks);
    document.removeEventListener('visibilitychange', open);
    close();
  };
}
