// What the types of every bundle begin with.

/** A buffer in the memory of a device: a GPUBuffer. */
export interface DeviceBuffer {
  readonly size: number;
  readonly usage: number;
  destroy(): undefined;
}

/** A WebGPU device: a GPUDevice. */
export interface Device {
  readonly features: { has(name: string): boolean };
  readonly limits: object;
  readonly queue: object;
}

export type Scalar = number | boolean | bigint;
/** Numbers nested by axes. */
export type Nested = Scalar | readonly Nested[] | ArrayLike<number>;
/** What may be passed for an array: all its elements in row-major order, nested by axes, or on the device. */
export type Given<T> = T | Nested | DeviceBuffer;

/** A function with its buffers, for one set of sizes. */
export interface Prepared<Arguments, Result, Sizes> {
  readonly sizes: Sizes;
  readonly inputs: Record<string, DeviceBuffer>;
  readonly outputs: Record<string, DeviceBuffer>;
  /** Run it on arguments, or without any on what is in `inputs`. */
  run(args?: Arguments): Promise<Result>;
  /** Run it and leave the results in `outputs`. */
  dispatch(args?: Arguments): Promise<Record<string, DeviceBuffer>>;
  destroy(): void;
}

/** A function: sizes follow from its arguments, or are given after them. */
export interface Call<Arguments, Result, Sizes> {
  (args: Arguments, sizes?: Sizes): Promise<Result>;
  /** Make its buffers for sizes, to use them again and again. */
  prepare(sizes?: Sizes): Promise<Prepared<Arguments, Result, Sizes>>;
  readonly description: object;
}

/** The functions, on a device: one of your own, or the fastest there is. */
export function load(device?: Device): Promise<Model>;

export const manifest: object;
