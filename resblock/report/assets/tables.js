// Tables that are sorted, filtered and walked through by the arrow keys.
function table(id, columns, rows, noun, chosen) {
  const [head, body] = document.getElementById(id).children;
  const filter = document.getElementById(id + "-filter");
  const count = document.getElementById(id + "-count");
  const marks = [];
  const made = rows.map((row, place) => {
    const element = make("tr", { tabindex: place ? "-1" : "0" });
    columns.forEach((column) => {
      const cell = make("td", column.number ? { class: "number" } : column.class ? { class: column.class } : {});
      cell.textContent = column.shown ? column.shown(row) : row[column.name] ?? "";
      if (column.bar) {
        const bar = make("span", { class: "bar", "aria-hidden": "true" });
        bar.style.width = `${Math.max(1, 40 * column.bar(row))}px`;
        cell.append(bar);
      }
      element.append(cell);
    });
    const act = () => chosen(row, element.textContent);
    element.addEventListener("mouseenter", act);
    element.addEventListener("focus", act);
    element.addEventListener("click", act);
    marks.push({ row, element });
    return { row, element, text: columns.map((column) => element.children[columns.indexOf(column)].textContent).join(" ").toLowerCase() };
  });
  const order = made.slice();

  function lay() {
    const words = filter ? filter.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
    const shown = order.filter((one) => words.every((word) => one.text.includes(word)));
    shown.forEach((one, place) => {
      one.element.tabIndex = place ? -1 : 0;
      one.element.classList.toggle("beyond", place >= 50);
    });
    body.replaceChildren(...shown.map((one) => one.element));
    if (count) count.textContent = `${shown.length} of ${noun}`;
  }

  const cells = columns.map((column) => {
    const cell = make("th", { scope: "col", ...(column.number ? { class: "number" } : {}) });
    const button = make("button", { type: "button" }, column.title);
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      cells.forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (one) => (column.value ? column.value(one.row) : one.row[column.name]);
      order.sort((a, b) => {
        const [x, y] = down ? [value(b), value(a)] : [value(a), value(b)];
        if (x === null || y === null) return (value(a) === null) - (value(b) === null);
        return typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      });
      lay();
    });
    cell.append(button);
    return cell;
  });
  head.append(make("tr", {}, ...cells));
  body.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: body.firstElementChild, End: body.lastElementChild }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    if (next) {
      row.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }
  });
  if (filter) filter.addEventListener("input", lay);
  lay();
  return marks;
}

function residueName(side, index) {
  return side.residues[index].name;
}

const truthColumn = (name, title) => (data.known ? [{ name, title, shown: (row) => (row[name] ? "yes" : "no") }] : []);
const pairRows = table(
  "pairs",
  [
    { name: "rank", title: "rank", number: true },
    { name: "score", title: "score", number: true, shown: (row) => probability(row.score) },
    { name: "receptor", title: "receptor", shown: (row) => residueName(data.receptor, row.receptor) },
    { name: "ligand", title: "ligand", shown: (row) => residueName(data.ligand, row.ligand) },
    ...truthColumn("touches", "touches"),
  ],
  data.pairs,
  `the first ${data.pairs.length} pairs; ${data.total} were ranked`,
  (row, text) => point(row.receptor, row.ligand, text)
);
const residueData = sides.flatMap((side, k) =>
  side.residues.flatMap((one, index) => (one.rank === null ? [] : [{ ...one, index, side: k, partner: roles[k] }]))
).sort((a, b) => b.probability - a.probability);
const residueRows = table(
  "residues",
  [
    { name: "partner", title: "partner" },
    { name: "name", title: "residue" },
    { name: "probability", title: "probability", number: true, shown: (row) => row.probability.toFixed(3), bar: (row) => row.probability / highest },
    { name: "rank", title: "rank", number: true },
    { name: "marked", title: "marked", shown: (row) => (row.marked ? "marked" : "") },
    { name: "patch", title: "patch", number: true },
    { name: "area", title: "area, \u212b\u00b2", number: true },
    ...(sides.some((side) => side.residues.some((one) => one.plddt !== null)) ? [{ name: "plddt", title: "pLDDT", number: true }] : []),
    ...truthColumn("inside", "in interface"),
  ],
  residueData,
  `${residueData.length} candidates`,
  (row, text) => point(row.side ? null : row.index, row.side ? row.index : null, text)
);
const patchData = sides.flatMap((side, k) => side.patches.map((patch) => ({ ...patch, side: k, partner: roles[k] })));
table(
  "patches",
  [
    { name: "partner", title: "partner" },
    { name: "rank", title: "patch", number: true },
    { name: "expected", title: "expected in the interface", number: true, shown: (row) => `${row.expected.toFixed(1)} of ${row.residues.length}` },
    { name: "area", title: "area, \u212b\u00b2", number: true },
    { name: "goes_with", title: "goes with", number: true },
    { name: "residues", title: "residues, likeliest first", class: "members", shown: (row) => row.residues.map((k) => residueName(sides[row.side], k)).join(", ") },
  ],
  patchData,
  "",
  (row, text) => point(row.side ? null : row.residues[0], row.side ? row.residues[0] : null, text)
);

listeners.push((receptor, ligand) => {
  pairRows.forEach(({ row, element }) => {
    const both = receptor !== null && ligand !== null;
    const fits = [receptor === null || row.receptor === receptor, ligand === null || row.ligand === ligand];
    element.classList.toggle("on", (both || receptor !== null || ligand !== null) && fits[0] && fits[1]);
  });
  residueRows.forEach(({ row, element }) => element.classList.toggle("on", row.index === [receptor, ligand][row.side]));
});
