// Running functions on a WebGPU device: buffers, pipelines, steps.

const KEPT = 4; // sets of sizes that a function keeps buffers for

/** The functions, on a device: one of your own, or the fastest there is. */
export async function load(device) {
  const session = new Session(device ?? (await open()));
  await session.check();
  return Object.fromEntries(manifest.functions.map((f) => [f.name, callable(session, f)]));
}

async function open() {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) {
    const insecure = globalThis.isSecureContext === false;
    throw new Error(
      insecure
        ? "WebGPU is there for pages on https or localhost only: serve this one from there"
        : "there is no WebGPU here: use a current Chrome, Edge, Firefox or Safari, or pass a device to load()",
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("WebGPU found no graphics adapter: look at chrome://gpu, or update the driver");
  const requiredLimits = {};
  for (const name of ["maxBufferSize", "maxStorageBufferBindingSize"]) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = manifest.features.filter((name) => adapter.features.has(name));
  return adapter.requestDevice({ requiredFeatures, requiredLimits });
}

function callable(session, description) {
  const kept = new Map();
  const call = async (args = {}, sizes = {}) => {
    const given = collect(description, args);
    const found = solve(description, given, sizes);
    const key = JSON.stringify(found);
    let prepared = kept.get(key);
    if (!prepared) {
      prepared = new Prepared(session, description, found);
      prepared.ready.catch(() => kept.delete(key));
      if (kept.size >= KEPT) {
        const [oldest, least] = kept.entries().next().value;
        kept.delete(oldest);
        session.queue.finally(() => least.destroy());
      }
    }
    kept.delete(key); // the latest is the last
    kept.set(key, prepared);
    return prepared.read(given);
  };
  call.prepare = async (sizes = {}) => {
    const prepared = new Prepared(session, description, solve(description, [], sizes));
    await prepared.ready;
    return prepared;
  };
  call.description = description;
  return call;
}

// -- the device: pipelines, constants, and what is recorded until somebody waits ------------------

class Session {
  constructor(device) {
    this.device = device;
    this.queue = Promise.resolve(); // calls, one after another: they share what is recorded
    this.pipelines = new Map();
    this.constants = new Map();
    device.lost.then((info) => (this.lost = info.message || info.reason || "for no reason given"));
    const sizes = Object.values(manifest.kernels).map((kernel) => 16 + 4 * kernel.sizes);
    const aligned = device.limits.minUniformBufferOffsetAlignment;
    this.slot = Math.ceil(Math.max(16, ...sizes) / aligned) * aligned;
    this.slots = Math.max(1, Math.floor(2 ** 16 / this.slot));
    this.bytes = new DataView(new ArrayBuffer(this.slots * this.slot));
    this.parameters = device.createBuffer({ size: this.bytes.byteLength, usage: GPU.UNIFORM | GPU.COPY_DST });
    this.used = 0;
  }

  async check() {
    for (const name of manifest.features) {
      if (!this.device.features.has(name)) {
        throw new Error(
          `this bundle needs the WebGPU feature ${name}, which the device does not have, as browsers do not: ` +
            "export it with arrays of float32 and int32",
        );
      }
    }
    const files = Object.values(manifest.programs).flatMap((program) => program.constants);
    this.data = files.length ? await bytesBeside("constants.bin") : null;
  }

  /** Run something when what was asked for before is done. */
  next(action) {
    const result = this.queue.then(() => {
      if (this.lost) throw new Error(`the WebGPU device was lost (${this.lost}): load() again`);
      return action();
    });
    this.queue = result.catch(() => {});
    return result;
  }

  pipeline(name) {
    if (!this.pipelines.has(name)) this.pipelines.set(name, this.compiled(name));
    return this.pipelines.get(name);
  }

  async compiled(name) {
    const { written } = manifest.kernels[name];
    const kinds = written.map((w) => ({ type: w ? "storage" : "read-only-storage" }));
    const buffers = [{ type: "uniform", hasDynamicOffset: true }, ...kinds];
    const layout = this.device.createBindGroupLayout({
      entries: buffers.map((buffer, binding) => ({ binding, visibility: 4, buffer })), // 4: COMPUTE
    });
    const module = this.device.createShaderModule({ code: WGSL[name], label: name });
    try {
      const pipeline = await this.device.createComputePipelineAsync({
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
      });
      return { pipeline, layout };
    } catch (error) {
      throw new Error(`the device rejects kernel ${name}: ${error.message}`);
    }
  }

  constant({ dtype, shape, offset }) {
    const key = `${dtype} ${offset}`;
    if (!this.constants.has(key)) {
      const count = shape.reduce((a, b) => a * b, 1) * (dtype.startsWith("complex") ? 2 : 1);
      const buffer = this.buffer(wordBytes(dtype, count), `a constant of shape [${shape}]`);
      this.device.queue.writeBuffer(buffer, 0, words(dtype, new ARRAYS[dtype](this.data, offset, count)));
      this.constants.set(key, buffer);
    }
    return this.constants.get(key);
  }

  buffer(bytes, what) {
    const most = Math.min(this.device.limits.maxBufferSize, this.device.limits.maxStorageBufferBindingSize);
    if (bytes > most) {
      throw new RangeError(`${what} takes ${bytes} bytes, and a buffer of this device has at most ${most}`);
    }
    return this.device.createBuffer({ size: Math.max(bytes, 8), usage: GPU.STORAGE | GPU.COPY_SRC | GPU.COPY_DST });
  }

  get encoder() {
    return (this.recording ??= this.device.createCommandEncoder());
  }

  /** The encoder for a copy. */
  outside() {
    this.pass?.end();
    this.pass = null;
    return this.encoder;
  }

  launch({ pipeline }, group, values, points, perGroup) {
    if (this.used === this.slots) this.submit();
    const at = this.used++ * this.slot;
    [points, 0, 0x7f800000, 0x7fc00000, ...values].forEach((x, k) => this.bytes.setInt32(at + 4 * k, x, true));
    this.pass ??= this.encoder.beginComputePass();
    this.pass.setPipeline(pipeline);
    this.pass.setBindGroup(0, group, [at]);
    const groups = Math.ceil(points / perGroup);
    this.pass.dispatchWorkgroups(Math.min(groups, 65535), Math.ceil(groups / 65535));
  }

  submit() {
    const commands = this.outside().finish();
    this.recording = null;
    this.device.queue.writeBuffer(this.parameters, 0, this.bytes.buffer, 0, this.used * this.slot);
    this.device.queue.submit([commands]);
    this.used = 0;
  }

  /** Wait for what is recorded, and read from buffers: `[buffer, bytes]` each. */
  async read(parts, staging) {
    let at = 0;
    for (const [buffer, bytes] of parts) {
      if (bytes) this.outside().copyBufferToBuffer(buffer, 0, staging, at, bytes);
      at += bytes;
    }
    if (this.recording) this.submit();
    await staging.mapAsync(1, 0, staging.size); // 1: READ
    const copy = staging.getMappedRange().slice(0);
    staging.unmap();
    at = 0;
    return parts.map(([, bytes]) => copy.slice(at, (at += bytes)));
  }

  /** What was recorded of a call that failed is not run. */
  drop() {
    this.pass?.end();
    this.pass = this.recording = null;
    this.used = 0;
  }
}

const GPU = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 };

async function bytesBeside(name) {
  const url = new URL(name, import.meta.url);
  if (url.protocol === "file:" && globalThis.process?.versions?.node) {
    const { readFile } = await import("node:fs/promises");
    const { buffer, byteOffset, byteLength } = await readFile(url);
    return buffer.slice(byteOffset, byteOffset + byteLength);
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be read: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

function wordBytes(dtype, count) {
  return dtype === "bool" ? 4 * count : 4 * Math.ceil((count * ARRAYS[dtype].BYTES_PER_ELEMENT) / 4);
}

/** An array as devices have it: booleans are words, and all ends with a word. */
function words(dtype, data) {
  if (dtype === "bool") return Uint32Array.from(data, (x) => (x ? 1 : 0));
  if (data.byteLength % 4 === 0) return data;
  const padded = new data.constructor(wordBytes(dtype, data.length) / data.BYTES_PER_ELEMENT);
  padded.set(data);
  return padded;
}

// -- one function with its buffers, for one set of sizes -------------------------------------------

class Prepared {
  constructor(session, description, sizes) {
    this.session = session;
    this.description = description;
    this.sizes = sizes;
    this.program = manifest.programs[description.name];
    this.ready = session.next(() => this.made());
    this.ready.catch(() => {});
  }

  async made() {
    const { session, description, sizes, program } = this;
    const { device } = session;
    const used = new Set(kernels(program.steps));
    this.pipelines = new Map();
    await Promise.all([...used].map(async (name) => this.pipelines.set(name, await session.pipeline(name))));
    device.pushErrorScope("out-of-memory");
    try {
      this.all = [];
      const buffer = (bytes, what) => {
        const made = session.buffer(bytes, `${description.name}: ${what}`);
        this.all.push(made);
        return made;
      };
      const arrays = (described) => described.map((a) => ({ ...a, count: this.count(a) }));
      const argument = (a) => buffer(wordBytes(a.dtype, a.count), a.name);
      this.results = arrays(description.outputs);
      this.taken = arrays(description.inputs);
      const blocks = program.blocks.map((b) => buffer(value(b, sizes), "a temporary array"));
      this.memory = {
        in: this.taken.map(argument),
        out: this.results.map(argument),
        const: program.constants.map((c) => session.constant(c)),
        temp: program.temporaries.map((block) => blocks[block]),
      };
      const bytes = this.results.reduce((sum, a) => sum + wordBytes(a.dtype, a.count), 0);
      this.staging = device.createBuffer({ size: Math.max(bytes, 8), usage: GPU.MAP_READ | GPU.COPY_DST });
      this.flag = device.createBuffer({ size: 8, usage: GPU.MAP_READ | GPU.COPY_DST });
      this.all.push(this.staging, this.flag);
    } finally {
      const error = await device.popErrorScope();
      if (error) {
        this.destroy();
        throw this.wrong(`the device has no memory for its arrays: ${error.message}`);
      }
    }
    this.groups = new Map();
    this.inputs = byName(description.inputs, this.memory.in);
    this.outputs = byName(description.outputs, this.memory.out);
  }

  count({ name, dtype, shape }) {
    const count = shape.reduce((product, n) => product * value(n, this.sizes), dtype.startsWith("complex") ? 2 : 1);
    if (count > MOST) throw this.wrong(`${name} has ${count} elements, and at most ${MOST} can be numbered`);
    return count;
  }

  wrong(what) {
    return new RangeError(`${this.description.name}: ${what}`);
  }

  /** Run it: on arguments, or on what is in `inputs`. Results as the function has them. */
  run(args) {
    return this.guarded(() => this.read(this.given(args)));
  }

  /** The same, but the results stay on the device: the buffers `outputs`. */
  dispatch(args) {
    return this.guarded(() => {
      const given = this.given(args);
      return this.session.next(async () => {
        await this.recorded(given);
        if (this.session.recording) this.session.submit();
        return this.outputs;
      });
    });
  }

  async guarded(action) {
    if (this.destroyed) throw new Error(`${this.description.name}: its buffers were destroyed`);
    return action();
  }

  given(args) {
    if (args === undefined) return [];
    const given = collect(this.description, args);
    solve(this.description, given, this.sizes);
    return given;
  }

  read(given) {
    return this.session.next(async () => {
      await this.recorded(given);
      const parts = this.results.map((a, k) => [this.memory.out[k], wordBytes(a.dtype, a.count)]);
      const found = await this.session.read(parts, this.staging);
      const arrays = this.results.map(({ dtype, shape, count }, k) => {
        const logical = dtype === "bool";
        const data = logical ? Uint8Array.from(new Uint32Array(found[k])) : new ARRAYS[dtype](found[k], 0, count);
        if (shape.length || count !== 1) return data;
        return logical ? data[0] !== 0 : data[0];
      });
      return rebuilt(this.description.result, arrays);
    });
  }

  async recorded(given) {
    await this.ready;
    const { device } = this.session;
    try {
      given.forEach(({ argument, data, buffer }, k) => {
        const { dtype, count } = this.taken[k];
        const bytes = wordBytes(dtype, count);
        if (!bytes || buffer === this.memory.in[k]) return;
        if (!buffer) device.queue.writeBuffer(this.memory.in[k], 0, words(dtype, data));
        else if (buffer.size < bytes) {
          throw this.wrong(`${argument.name} is a buffer of ${buffer.size} bytes, and ${bytes} are needed`);
        } else this.session.outside().copyBufferToBuffer(buffer, 0, this.memory.in[k], 0, bytes);
      });
      await this.steps(this.program.steps, this.sizes);
    } catch (error) {
      this.session.drop();
      throw error;
    }
  }

  async steps(steps, sizes) {
    for (const step of steps) {
      if (step.kernel) this.launch(step, step.kernel, step.sizes, sizes);
      else if (step.repeat) {
        const flag = step.buffers.at(-1);
        let which = step.first;
        do {
          this.session.outside().clearBuffer(this.at(flag), 0, 4);
          this.launch(step, step.repeat, which, sizes);
          which = step.again;
        } while (await this.number(flag, "int32"));
      } else if (step.loop) {
        const count = value(step.count, sizes);
        for (let k = 1; k <= count; k++) await this.steps(step.steps, { ...sizes, [step.loop]: k });
      } else if (step.while) {
        for (;;) {
          await this.steps(step.test, sizes);
          if (!(await this.number(step.while, "bool"))) break;
          await this.steps(step.steps, sizes);
        }
      } else await this.steps(step.cases[await this.number(step.switch, step.dtype)], sizes);
    }
  }

  at([kind, number]) {
    return this.memory[kind][number];
  }

  launch(step, name, formulas, sizes) {
    const points = value(step.points, sizes);
    const values = formulas.map((f) => value(f, sizes));
    if (Math.max(points, ...values) > MOST) throw this.wrong(`more elements than ${MOST} at these sizes`);
    if (points <= 0) return;
    const made = this.pipelines.get(name);
    if (!this.groups.has(step)) {
      const { parameters, slot, device } = this.session;
      const buffers = [{ buffer: parameters, size: slot }, ...step.buffers.map((m) => ({ buffer: this.at(m) }))];
      const entries = buffers.map((resource, binding) => ({ binding, resource }));
      this.groups.set(step, device.createBindGroup({ layout: made.layout, entries }));
    }
    this.session.launch(made, this.groups.get(step), values, points, manifest.kernels[name].points);
  }

  /** The number in a buffer, which has to be waited for. */
  async number(memory, dtype) {
    const bytes = dtype === "int64" ? 8 : 4;
    const [found] = await this.session.read([[this.at(memory), bytes]], this.flag);
    return dtype === "int64" ? Number(new BigInt64Array(found)[0]) : new Int32Array(found)[0];
  }

  destroy() {
    this.destroyed = true;
    for (const buffer of this.all ?? []) buffer.destroy();
  }
}

function kernels(steps) {
  return steps.flatMap((s) => {
    if (s.kernel || s.repeat) return [s.kernel ?? s.repeat];
    return [s.test ?? [], s.steps ?? [], ...(s.cases ?? [])].flatMap(kernels);
  });
}

function byName(described, buffers) {
  return Object.fromEntries(described.map((a, k) => [a.name, buffers[k]]));
}

function rebuilt(tree, arrays) {
  if (tree === null) return null;
  if (typeof tree === "number") return arrays[tree];
  if ("fixed" in tree) return tree.fixed;
  const nested = tree.tuple ?? tree.list;
  if (nested) return nested.map((t) => rebuilt(t, arrays));
  return Object.fromEntries(Object.entries(tree.fields ?? tree.dict).map(([k, t]) => [k, rebuilt(t, arrays)]));
}
