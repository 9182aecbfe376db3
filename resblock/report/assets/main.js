"use strict";
// What every part shares: the data, colours, and what is pointed at.
const data = JSON.parse(document.getElementById("data").textContent);
const sides = [data.receptor, data.ligand];
const roles = ["receptor", "ligand"];
const highest = Math.max(...sides.flatMap((side) => side.residues.map((one) => one.probability)), 1e-6);
const listeners = [];
let pointed = { receptor: null, ligand: null };

/** Tell every part which residue of either partner is pointed at; null for none. */
function point(receptor, ligand, said) {
  pointed = { receptor, ligand };
  listeners.forEach((listen) => listen(receptor, ligand));
  document.getElementById("said").textContent = said || "";
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function variable(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function mix(one, other, share) {
  const parts = [one, other].map((colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16)));
  return "#" + parts[0].map((a, k) => Math.round(a + share * (parts[1][k] - a)).toString(16).padStart(2, "0")).join("");
}

/** Colour of a share from 0 to 1, on the ramp that the legend shows. */
function colour(share) {
  const [low, middle, high] = ["--low", "--middle", "--high"].map(variable);
  return share < 0.5 ? mix(low, middle, 2 * share) : mix(middle, high, Math.min(2 * share - 1, 1));
}

/** Call `act` when the colours become others: dark or light, and on paper. */
function whenColoursChange(act) {
  ["(prefers-color-scheme: dark)", "print"].forEach((query) => matchMedia(query).addEventListener("change", act));
}

function probability(value) {
  return value >= 0.1 ? value.toFixed(2) : value >= 0.001 ? value.toFixed(4) : value.toExponential(1);
}

document.getElementById("highest").textContent = highest.toFixed(2);
