// What a person has chosen, kept by the browser where it lets us.
function read(key) {
  try {
    return localStorage.getItem(`keyferry.${key}`);
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(`keyferry.${key}`, value);
  } catch {
    // Private windows have no storage: the choice lasts as long as the page.
  }
}

export const settings = {read, write};
