"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const toggleTheme = () => { root.dataset.theme = dark() ? "light" : "dark"; };
  byId("theme").addEventListener("click", toggleTheme);

  const changes = [...document.querySelectorAll("details.change")];
  const search = byId("search");
  if (!search) return;
  const filters = ["action", "trigger", "folder"].map(byId);
  const texts = new Map();
  // The text of a change is read on the first search.
  const text = (change) => {
    if (!texts.has(change)) texts.set(change, change.textContent.toLowerCase());
    return texts.get(change);
  };
  const shown = () => changes.filter((change) => !change.hidden);

  // The address holds the state of the page, so that people can share it.
  const save = () => {
    const state = new URLSearchParams();
    if (search.value) state.set("q", search.value);
    for (const filter of filters) if (filter.value) state.set(filter.id, filter.value);
    try { history.replaceState(null, "", "#" + state); } catch { /* a page without an address */ }
  };
  const load = () => {
    const state = new URLSearchParams(location.hash.slice(1));
    search.value = state.get("q") ?? "";
    for (const filter of filters) {
      filter.value = state.get(filter.id) ?? "";
      if (filter.selectedIndex < 0) filter.selectedIndex = 0;
    }
  };
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const change of changes) {
      const fits = filters.every((filter) => !filter.value || change.dataset[filter.id] === filter.value)
        && words.every((word) => text(change).includes(word));
      change.hidden = !fits;
      if (fits) count++;
    }
    byId("count").textContent = `${count} of ${changes.length}`;
    byId("none").hidden = count > 0;
  };
  const update = () => { apply(); save(); };
  search.addEventListener("input", update);
  for (const filter of filters) filter.addEventListener("change", update);
  addEventListener("hashchange", () => { load(); apply(); });

  const openAll = (open) => { for (const change of shown()) change.open = open; };
  byId("expand").addEventListener("click", () => openAll(true));
  byId("collapse").addEventListener("click", () => openAll(false));

  const move = (step) => {
    const all = shown();
    if (!all.length) return;
    const at = all.findIndex((change) => change.contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
    const summary = all[next].querySelector("summary");
    summary.focus();
    summary.scrollIntoView({ block: "center" });
  };
  const keys = {
    "/": () => search.focus(), j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
    e: () => openAll(true), c: () => openAll(false), t: toggleTheme,
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      search.value = "";
      for (const filter of filters) filter.selectedIndex = 0;
      update();
      document.activeElement.blur();
      return;
    }
    if (event.target.closest("input, select")) {
      if (event.target === search && event.key === "Enter") move(1);
      return;
    }
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  load();
  apply();
  if (changes.length === 1) changes[0].open = true;
})();
