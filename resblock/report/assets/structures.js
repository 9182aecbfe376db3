// Both partners in 3D, where the viewer could be had and the browser has WebGL.
(() => {
  const style = document.getElementById("style");
  const look = document.getElementById("view");
  const viewers = [];
  const selectionOf = (side, index) => ({ serial: Array.from({ length: side.residues[index].atoms[1] }, (_, k) => side.residues[index].atoms[0] + k) });
  const onSurface = () => style.value === "surface";

  function absent(why) {
    const note = document.getElementById("no-viewer");
    note.hidden = false;
    note.textContent = `${why} Everything else on this page works; view.pml and view.cxc show the structures in PyMOL and ChimeraX.`;
    document.querySelector(".viewers").hidden = true;
    style.disabled = look.disabled = true;
  }

  function dress(viewer, side) {
    const owner = new Map();
    side.residues.forEach((one, index) => { for (let k = 0; k < one.atoms[1]; k++) owner.set(one.atoms[0] + k, index); });
    const shade = side.residues.map((one) => colour(one.probability / highest));
    const paint = (atom) => shade[owner.get(atom.serial)];
    viewer.removeAllSurfaces();
    viewer.removeAllLabels();
    viewer.setStyle({}, { cartoon: { colorfunc: paint } });
    if (onSurface()) viewer.addSurface($3Dmol.SurfaceType.VDW, { colorfunc: paint, opacity: 0.95 });
    for (const index of side.first) {
      viewer.addStyle(selectionOf(side, index), { stick: { radius: 0.25, colorfunc: paint } });
      viewer.addLabel(side.residues[index].name, { fontSize: 11, backgroundOpacity: 0.65, inFront: true, alignment: "bottomLeft" }, selectionOf(side, index), true);
    }
    viewer.render();
  }

  function refresh() {
    const background = variable("--viewer");
    viewers.forEach((viewer, k) => { viewer.setBackgroundColor(background); dress(viewer, sides[k]); });
  }

  if (typeof $3Dmol === "undefined") return absent("The viewer of structures is not in this page and could not be loaded.");
  try {
    if (!document.createElement("canvas").getContext("webgl2") && !document.createElement("canvas").getContext("webgl")) throw new Error("no WebGL");
    sides.forEach((side, k) => {
      const place = document.getElementById(`viewer-${roles[k]}`);
      const viewer = $3Dmol.createViewer(place, { backgroundColor: variable("--viewer") });
      viewer.addModel(side.structure, "pdb", { keepH: true });
      viewer.zoomTo();
      viewer.zoom(1.3);
      viewers.push(viewer);
      document.getElementById(`caption-${roles[k]}`).textContent = `${roles[k]}: ${side.source}`;
    });
    refresh();
  } catch (error) {
    return absent("This browser shows no WebGL, so the structures are left out.");
  }

  sides.forEach((side, k) => side.patches.forEach((patch) => look.append(make("option", { value: `${k} ${patch.rank - 1}` }, `patch ${patch.rank} of the ${roles[k]}`))));
  look.addEventListener("change", () => {
    viewers.forEach((viewer, k) => {
      const [side, patch] = look.value.split(" ").map(Number);
      if (look.value && side === k) viewer.zoomTo({ serial: sides[k].patches[patch].residues.flatMap((index) => selectionOf(sides[k], index).serial) }, 400);
      else {
        viewer.zoomTo();
        viewer.zoom(1.3, 400);
      }
    });
  });
  style.addEventListener("change", refresh);
  whenColoursChange(refresh);
  window.addEventListener("resize", () => viewers.forEach((viewer) => viewer.resize()));
  const shown = [[], []];
  let waiting = null;
  listeners.push((receptor, ligand) => {
    clearTimeout(waiting);
    // Pointing passes over many residues: the last one counts.
    waiting = setTimeout(() => [receptor, ligand].forEach((index, k) => {
      shown[k].splice(0).forEach((item) => { if (item.shape) viewers[k].removeShape(item.shape); else viewers[k].removeLabel(item.label); });
      if (index !== null) {
        const selection = selectionOf(sides[k], index);
        const atoms = viewers[k].selectedAtoms(selection);
        const middle = ["x", "y", "z"].map((axis) => atoms.reduce((sum, atom) => sum + atom[axis], 0) / atoms.length);
        const center = { x: middle[0], y: middle[1], z: middle[2] };
        shown[k].push({ shape: viewers[k].addSphere({ center, radius: 3, color: variable("--link"), opacity: 0.55 }) });
        shown[k].push({ label: viewers[k].addLabel(sides[k].residues[index].name, { position: center, fontSize: 13, inFront: true, backgroundColor: variable("--link") }) });
      }
      viewers[k].render();
    }), 60);
  });
  viewers.forEach((viewer, k) => {
    const index = new Map();
    sides[k].residues.forEach((one, place) => { for (let a = 0; a < one.atoms[1]; a++) index.set(one.atoms[0] + a, place); });
    viewer.setHoverable({}, true, (atom) => point(k ? null : index.get(atom.serial), k ? index.get(atom.serial) : null, sides[k].residues[index.get(atom.serial)].name), () => {});
    viewer.render();
  });
})();
