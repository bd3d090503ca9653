// Arguments: from nestings of numbers, typed arrays and buffers to arrays and the values of sizes.

const ARRAYS = {
  bool: Uint8Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array,
  float16: Uint16Array, bfloat16: Uint16Array, float32: Float32Array, float64: Float64Array,
  complex64: Float32Array, complex128: Float64Array,
};
const MOST = 2 ** 31 - 1; // positions in kernels are int32

/** The arrays of a call in order, each `{argument, data | buffer, lengths}`; lengths of flat data are unknown. */
function collect(description, args) {
  const found = [];
  const flat = new Map(description.inputs.map((a, k) => [a.name, k]));
  const trees = description.arguments.tuple;
  const names = trees.map((tree) => parameter(description, tree));
  for (const key of Object.keys(args)) {
    if (flat.has(key)) found[flat.get(key)] = args[key];
    else if (names.includes(key)) leaves(trees[names.indexOf(key)], args[key], key, found, description);
    else {
      const known = listed(names.filter((name) => name !== undefined));
      throw new TypeError(`${description.name}: there is no argument ${key}; there are ${known}`);
    }
  }
  return description.inputs.map((argument, k) => {
    if (found[k] === undefined) {
      throw new TypeError(`${description.name}: ${argument.name} is missing: it is ${typed(argument)}`);
    }
    return array(description, argument, found[k]);
  });
}

/** What an argument of the function is called: the beginning of the way to each array in it. */
function parameter(description, tree) {
  const first = numbers(tree)[0];
  if (first === undefined) return undefined;
  const { name, path } = description.inputs[first];
  return typeof tree === "number" ? name : path.match(/^\w+/)[0];
}

function numbers(tree) {
  if (tree === null || (typeof tree === "object" && "fixed" in tree)) return [];
  if (typeof tree === "number") return [tree];
  return Object.values(tree.fields ?? tree.dict ?? tree.tuple ?? tree.list).flatMap(numbers);
}

function leaves(tree, given, path, found, description) {
  if (typeof tree === "number") found[tree] = given;
  else if (numbers(tree).length) {
    const children = tree.fields ?? tree.dict ?? tree.tuple ?? tree.list;
    const keys = Object.keys(children);
    const fits = given !== null && typeof given === "object";
    const wrong = fits ? keys.find((k) => !(k in given) && numbers(children[k]).length) : keys[0];
    if (wrong !== undefined) {
      throw new TypeError(`${description.name}: ${path} has no ${wrong}; it has to have ${listed(keys)}`);
    }
    for (const key of keys) leaves(children[key], given[key], `${path}.${key}`, found, description);
  }
}

function array(description, argument, value) {
  const Type = ARRAYS[argument.dtype];
  const parts = argument.dtype.startsWith("complex") ? 2 : 1;
  const wrong = (what) =>
    new TypeError(`${description.name}: ${argument.name} is ${what}, and ${typed(argument)} is needed`);
  if (isBuffer(value)) return { argument, buffer: value };
  if (ArrayBuffer.isView(value)) {
    const half = argument.dtype === "float16" && value.constructor.name === "Float16Array";
    if (!(value instanceof Type) && !half) throw wrong(`a ${value.constructor.name}`);
    // A copy: the call may have to wait for others, and its caller may go on with the array.
    const data = (half ? new Uint16Array(value.buffer, value.byteOffset, value.length) : value).slice();
    if (data.length % parts) throw wrong(`${data.length} numbers`);
    return { argument, data, count: data.length / parts };
  }
  if (argument.dtype.endsWith("float16") && (typeof value === "number" || Array.isArray(value))) {
    throw wrong("of numbers");
  }
  const lengths = [];
  for (let x = value; Array.isArray(x) || ArrayBuffer.isView(x); x = x[0]) lengths.push(x.length);
  const whole = [];
  const walk = (x, depth) => {
    if (depth === lengths.length) {
      if (!["number", "boolean", "bigint"].includes(typeof x)) throw wrong(`of ${x === null ? "null" : typeof x}s`);
      whole.push(Type.name.startsWith("Big") ? BigInt(x) : argument.dtype === "bool" ? !!x : Number(x));
    } else if (x?.length !== lengths[depth]) {
      throw wrong(`ragged: ${lengths[depth]} and ${x?.length ?? "no"} elements side by side`);
    } else for (const inner of x) walk(inner, depth + 1);
  };
  walk(value, 0);
  if (parts === 2 && lengths.pop() !== 2) throw wrong("not pairs of a real and an imaginary part");
  const data = Type.from(whole);
  const changed = /int/.test(argument.dtype) ? whole.findIndex((x, k) => data[k] !== x) : -1;
  if (changed >= 0) {
    throw new TypeError(`${description.name}: ${argument.name} holds ${whole[changed]}, which is no ${argument.dtype}`);
  }
  if (lengths.length === argument.shape.length) return { argument, data, lengths, count: data.length / parts };
  if (lengths.length === 1) return { argument, data, count: data.length / parts };
  throw wrong(lengths.length ? `nested ${lengths.length} deep` : `a ${typeof value}`);
}

function isBuffer(value) {
  return value !== null && typeof value === "object" && typeof value.mapAsync === "function";
}

/** The sizes by name: those given, and what follows from the arrays. */
function solve(description, arrays, given = {}) {
  const name = description.name;
  const sizes = {};
  for (const [symbol, n] of Object.entries(given)) {
    if (!description.sizes.includes(symbol)) {
      const there = description.sizes.length ? `are ${listed(description.sizes)}` : "is none";
      throw new TypeError(`${name}: there is no size ${symbol}; there ${there}`);
    }
    if (!Number.isSafeInteger(n) || n < 1) {
      throw new RangeError(`${name}: the size ${symbol} is ${n}, and it is a whole number from 1 up`);
    }
    sizes[symbol] = n;
  }
  const equations = arrays.flatMap(({ argument, lengths, count }) =>
    lengths
      ? lengths.map((n, axis) => [argument, argument.shape[axis], n])
      : count === undefined ? [] : [[argument, ["*", 1, ...argument.shape], count]]);
  for (let before = -1; before < Object.keys(sizes).length; ) {
    before = Object.keys(sizes).length;
    for (const [, formula, n] of equations) {
      const unknown = unsolved(formula, sizes);
      if (unknown.length === 1) {
        const found = solved(formula, unknown[0], n, sizes);
        if (found !== undefined) sizes[unknown[0]] = found;
      }
    }
  }
  const impossible = equations.find(([, formula]) => unsolved(formula, sizes).length === 1);
  if (impossible) {
    const [argument, formula, n] = impossible;
    const [symbol] = unsolved(formula, sizes);
    throw new RangeError(
      `${name}: ${argument.name} has length ${n}, and it is ${typed(argument)}: no ${symbol} makes it so`,
    );
  }
  const missing = description.sizes.filter((s) => !(s in sizes));
  const lengths = equations.map(([argument, , n]) => `${argument.name} of length ${n}`);
  if (missing.length) {
    const [sizes, follow] = missing.length > 1 ? ["sizes", "do not follow"] : ["size", "does not follow"];
    throw new RangeError(
      `${name}: the ${sizes} ${listed(missing)} ${follow} from ${listed(lengths) || "the arguments"}: ` +
        `nest the arrays by axes, or give the sizes after the arguments, as {${missing[0]}: ..}`,
    );
  }
  const at = description.sizes.map((s) => `${s} = ${sizes[s]}`).join(", ");
  for (const [argument, formula, n] of equations) {
    if (value(formula, sizes) !== n) {
      const wanted = `${typed(argument)}${at && ` with ${at}`}`;
      throw new RangeError(`${name}: ${argument.name} has length ${n}, and it is ${wanted}`);
    }
  }
  for (const s of description.sizes) {
    if (sizes[s] < 1) throw new RangeError(`${name}: the size ${s} is ${sizes[s]}, and it is at least 1`);
  }
  for (const { relation, formula } of description.requires) {
    const found = value(formula, sizes);
    if (!{ ">=": found >= 0, "==": found === 0, "!=": found !== 0 }[relation]) {
      const condition = `${written(formula)} ${relation} 0`;
      throw new RangeError(`${name} takes no arrays with ${at}: it was exported for sizes where ${condition}`);
    }
  }
  return Object.fromEntries(description.sizes.map((s) => [s, sizes[s]]));
}

const OPERATIONS = {
  "+": (a, b) => a + b,
  "*": (a, b) => a * b,
  "//": (a, b) => Math.floor(a / b),
  "%": (a, b) => a - b * Math.floor(a / b),
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
};

/** The value of a formula: a number, a symbol, or an operation and its operands. */
function value(formula, sizes) {
  if (typeof formula === "number") return formula;
  if (typeof formula === "string") return sizes[formula];
  const [operation, ...operands] = formula;
  return operands.map((x) => value(x, sizes)).reduce(OPERATIONS[operation]);
}

function symbols(formula) {
  if (typeof formula === "string") return [formula];
  return typeof formula === "number" ? [] : formula.slice(1).flatMap(symbols);
}

function unsolved(formula, sizes) {
  return [...new Set(symbols(formula))].filter((s) => !(s in sizes));
}

/** The value of a symbol in which a formula grows, where it is n. */
function solved(formula, symbol, n, sizes) {
  const at = (x) => value(formula, { ...sizes, [symbol]: x });
  let [low, high] = [0, Math.max(n, 1)];
  while (at(high) < n) if ((high *= 2) > MOST) return undefined;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (at(middle) < n) low = middle + 1;
    else high = middle;
  }
  return at(low) === n ? low : undefined;
}

function written(formula) {
  if (!Array.isArray(formula)) return String(formula);
  const [operation, ...operands] = formula;
  const texts = operands.map(written);
  if (operation === "min" || operation === "max") return `${operation}(${texts.join(", ")})`;
  if (operation === "+") return texts.join(" + ").replaceAll("+ -", "- ");
  if (operation === "*") {
    return operands.map((x, k) => (x[0] === "+" ? `(${texts[k]})` : texts[k])).join("*").replace(/^-1\*/, "-");
  }
  return `(${operands.map((x, k) => (Array.isArray(x) ? `(${texts[k]})` : texts[k])).join(` ${operation} `)})`;
}

function typed({ dtype, shape }) {
  return `${ARRAYS[dtype].name} ${dtype.startsWith("complex") ? "of pairs " : ""}[${shape.map(written).join(", ")}]`;
}

function listed(names) {
  return names.join(", ");
}

