// Probability along each chain, a bar a residue.
(() => {
  const names = "http://www.w3.org/2000/svg";
  const height = 56;
  const backs = [new Map(), new Map()];
  const shape = (tag, attributes) => {
    const element = document.createElementNS(names, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  if (data.known) document.getElementById("chains-truth").hidden = false;
  sides.forEach((side, k) => {
    for (const chain of side.chains) {
      const size = chain.stop - chain.start;
      const svg = shape("svg", { viewBox: `0 0 ${Math.max(size, 60) * 8} 74`, preserveAspectRatio: "none", role: "img", "aria-label": `Probability along chain ${chain.name || "without a name"} of the ${roles[k]}` });
      svg.append(shape("line", { x1: 0, x2: size * 8, y1: height, y2: height }));
      for (let index = chain.start; index < chain.stop; index++) {
        const one = side.residues[index];
        const x = (index - chain.start) * 8;
        const back = shape("rect", { class: "back", x, y: 0, width: 8, height: 74 });
        const tall = (height - 2) * (one.probability / highest);
        svg.append(back, shape("rect", { class: one.marked ? "marked" : "bar", x: x + 1, y: height - tall, width: 6, height: tall }));
        if (one.inside) svg.append(shape("rect", { class: "true", x: x + 1, y: height + 4, width: 6, height: 5 }));
        const title = shape("title", {});
        title.textContent = `${one.name}: ${one.probability.toFixed(3)}`;
        back.append(title);
        back.addEventListener("mouseenter", () => point(k ? null : index, k ? index : null, title.textContent));
        backs[k].set(index, back);
      }
      const heading = make("h3", {}, `${roles[k]}, chain ${chain.name || "(blank)"}, residues ${side.residues[chain.start].label} to ${side.residues[chain.stop - 1].label}`);
      document.getElementById("chains").append(heading, svg);
    }
  });
  let before = [null, null];
  listeners.push((receptor, ligand) => {
    [receptor, ligand].forEach((index, k) => {
      backs[k].get(before[k])?.classList.remove("on");
      backs[k].get(index)?.classList.add("on");
    });
    before = [receptor, ligand];
  });
})();
