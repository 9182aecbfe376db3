// The map of all pairs: a picture of one pixel a pair (or a few), drawn enlarged.
(() => {
  const canvas = document.getElementById("map");
  const said = document.getElementById("map-said");
  const { rows, columns, step, low, high } = data.map;
  const bytes = Uint8Array.from(atob(data.map.values), (sign) => sign.charCodeAt(0));
  const values = new Uint16Array(bytes.buffer);
  const picture = document.createElement("canvas");
  picture.width = columns;
  picture.height = rows;
  let view = { x: 0, y: 0, width: columns, height: rows };
  let cursor = { row: 0, column: 0 };
  if (data.known) document.getElementById("map-truth").hidden = false;

  function paint() {
    const context = picture.getContext("2d");
    const image = context.createImageData(columns, rows);
    const ramp = Array.from({ length: 256 }, (_, k) => colour((k / 255) ** 3.5).match(/\w\w/g).map((part) => parseInt(part, 16)));
    for (let k = 0; k < values.length; k++) image.data.set([...ramp[values[k] >> 8], 255], 4 * k);
    context.putImageData(image, 0, 0);
  }

  function scale() {
    const density = window.devicePixelRatio || 1;
    const [margin, below] = [44 * density, 22 * density];
    return { margin, below, x: (canvas.width - margin) / view.width, y: (canvas.height - below) / view.height };
  }

  function draw() {
    const density = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * density;
    canvas.height = canvas.clientHeight * density;
    const context = canvas.getContext("2d");
    const { margin, below, x, y } = scale();
    context.imageSmoothingEnabled = false;
    context.fillStyle = variable("--panel");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, view.x, view.y, view.width, view.height, margin, 0, canvas.width - margin, canvas.height - below);
    context.lineWidth = Math.max(1, density);
    context.strokeStyle = variable("--true");
    for (const [row, column] of data.map.truth) {
      const [left, top] = [margin + (column - view.x) * x, (row - view.y) * y];
      if (left >= margin && top < canvas.height - below) context.strokeRect(left, top, Math.max(x, 3), Math.max(y, 3));
    }
    axes(context, x, y, margin, below, density);
    const places = [pointed.receptor, pointed.ligand].map((index, k) => (index === null ? -1 : sides[k].candidates.indexOf(index)));
    context.strokeStyle = variable("--front");
    if (places[0] >= 0) line(context, margin, (Math.floor(places[0] / step) + 0.5 - view.y) * y, canvas.width, null, canvas.height - below);
    if (places[1] >= 0) line(context, margin + (Math.floor(places[1] / step) + 0.5 - view.x) * x, 0, null, canvas.height - below, canvas.width, margin);
  }

  function line(context, x, y, toX, toY, limit, from = 0) {
    const along = toX === null ? x : y;
    if (along < from || along > limit) return;
    context.globalAlpha = 0.7;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX === null ? x : toX, toY === null ? y : toY);
    context.stroke();
    context.globalAlpha = 1;
  }

  function axes(context, x, y, margin, below, density) {
    context.fillStyle = variable("--soft");
    context.font = `${10 * density}px system-ui, sans-serif`;
    const every = (size, unit) => Math.max(1, Math.ceil((38 * density) / unit));
    for (let row = Math.ceil(view.y); row < view.y + view.height; row += every(view.height, y)) {
      const name = sides[0].residues[sides[0].candidates[Math.min(row * step, sides[0].candidates.length - 1)]].label;
      context.fillText(name, 2 * density, Math.max((row + 0.5 - view.y) * y + 4 * density, 10 * density), margin - 6 * density);
    }
    for (let column = Math.ceil(view.x); column < view.x + view.width; column += every(view.width, x)) {
      const name = sides[1].residues[sides[1].candidates[Math.min(column * step, sides[1].candidates.length - 1)]].label;
      context.fillText(name, margin + (column + 0.2 - view.x) * x, canvas.height - below + 14 * density, 40 * density);
    }
  }

  function show(row, column) {
    cursor = { row: Math.min(Math.max(row, 0), rows - 1), column: Math.min(Math.max(column, 0), columns - 1) };
    const [receptor, ligand] = [sides[0].candidates[cursor.row * step], sides[1].candidates[cursor.column * step]];
    const logOdds = low + ((high - low) * values[cursor.row * columns + cursor.column]) / 65535;
    const text = `${residueName(sides[0], receptor)} with ${residueName(sides[1], ligand)}: ${probability(1 / (1 + Math.exp(-logOdds)))}`;
    said.textContent = step > 1 ? `about ${text}` : text;
    point(receptor, ligand, text);
  }

  function zoom(factor, row = view.y + view.height / 2, column = view.x + view.width / 2) {
    const width = Math.min(Math.max(view.width * factor, Math.min(8, columns)), columns);
    const height = Math.min(Math.max(view.height * factor, Math.min(8, rows)), rows);
    view = { x: column - ((column - view.x) * width) / view.width, y: row - ((row - view.y) * height) / view.height, width, height };
    move(0, 0);
  }

  function move(row, column) {
    view.x = Math.min(Math.max(view.x + column, 0), columns - view.width);
    view.y = Math.min(Math.max(view.y + row, 0), rows - view.height);
    draw();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const density = canvas.width / box.width;
    const { margin, x, y } = scale();
    return { row: view.y + ((event.clientY - box.top) * density) / y, column: view.x + ((event.clientX - box.left) * density - margin) / x };
  }

  let dragged = null;
  canvas.addEventListener("pointerdown", (event) => { dragged = place(event); canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { dragged = null; });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (dragged) move(dragged.row - at.row, dragged.column - at.column);
    else if (at.column >= view.x && at.row < view.y + view.height) show(Math.floor(at.row), Math.floor(at.column));
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const at = place(event);
    zoom(event.deltaY > 0 ? 1.25 : 0.8, at.row, at.column);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (by) show(cursor.row + by[0], cursor.column + by[1]);
    else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 0.8 : 1.25, cursor.row, cursor.column);
    else if (event.key === "Enter") show(cursor.row, cursor.column);
    else return;
    event.preventDefault();
  });
  document.getElementById("map-in").addEventListener("click", () => zoom(0.6));
  document.getElementById("map-out").addEventListener("click", () => zoom(1.7));
  document.getElementById("map-all").addEventListener("click", () => zoom(Infinity));
  window.addEventListener("resize", draw);
  whenColoursChange(() => { paint(); draw(); });
  listeners.push(draw);
  paint();
  draw();
})();
