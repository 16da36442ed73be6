/* MobileNet V1 and V2 on any GPU, for C and C++. Made by cbindgen from capi/src; do not edit.
 *
 * Handles are opaque. A function that can fail gives a status; `mobilenet_last_error` then says on the same thread what
 * happened and what to do. Out parameters are written only on success. Every pointer may be NULL where the comment says
 * so; elsewhere NULL is MOBILENET_STATUS_INVALID_ARGUMENT. Strings are UTF-8 and end with a zero. Structs that begin with
 * `struct_size` may grow; others stay as they are.
 *
 * Threads: there are no globals but each thread's last error. A classifier is used by one thread at a time (which one may
 * change); different classifiers, jobs and outputs are independent. Outputs may be read by several threads at once.
 * Jobs and outputs may outlive their classifier.
 */

#ifndef MOBILENET_H
#define MOBILENET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 Version of the interface that this header is of: grows when something is added, to the next thousand when something changes for its
 callers. The thousands are the number in the shared library's name.
 */
#define MOBILENET_ABI_VERSION 1000

/*
 How a call ended.
 */
typedef enum mobilenet_status {
  /*
   As it should.
   */
  MOBILENET_STATUS_OK = 0,
  /*
   A job is not done yet: no error.
   */
  MOBILENET_STATUS_PENDING = 1,
  /*
   A pointer is NULL that must not be, text is not UTF-8, or a struct is of an unknown size.
   */
  MOBILENET_STATUS_INVALID_ARGUMENT = 2,
  /*
   A file could not be read.
   */
  MOBILENET_STATUS_FILE = 3,
  /*
   A checkpoint is damaged, incomplete or of an unknown kind.
   */
  MOBILENET_STATUS_CHECKPOINT = 4,
  /*
   An input has the wrong shape, size or number.
   */
  MOBILENET_STATUS_INPUT = 5,
  /*
   An option has a value that cannot be used.
   */
  MOBILENET_STATUS_OPTION = 6,
  /*
   No graphics adapter fits.
   */
  MOBILENET_STATUS_NO_ADAPTER = 7,
  /*
   The network does not fit the device.
   */
  MOBILENET_STATUS_LIMIT = 8,
  /*
   No memory is left on the device.
   */
  MOBILENET_STATUS_OUT_OF_MEMORY = 9,
  /*
   The device is lost: free the classifier and make a new one.
   */
  MOBILENET_STATUS_DEVICE_LOST = 10,
  /*
   As many jobs as can be are under way: take or free one.
   */
  MOBILENET_STATUS_BUSY = 11,
  /*
   The device or its driver reported an error.
   */
  MOBILENET_STATUS_DEVICE = 12,
  /*
   A mistake in this library; please report it.
   */
  MOBILENET_STATUS_INTERNAL = 13,
} mobilenet_status;

/*
 Types of storage, arithmetic and accumulation.
 */
typedef enum mobilenet_precision {
  /*
   f32 throughout.
   */
  MOBILENET_PRECISION_F32 = 0,
  /*
   f16 in memory, f32 in arithmetic.
   */
  MOBILENET_PRECISION_F16_STORAGE = 1,
  /*
   f16 in memory and arithmetic, f32 where sums are kept.
   */
  MOBILENET_PRECISION_F16 = 2,
} mobilenet_precision;

/*
 A model, ready to run at one size.
 */
typedef struct mobilenet_classifier mobilenet_classifier;

/*
 Pictures under way.
 */
typedef struct mobilenet_job mobilenet_job;

/*
 What a run gave.
 */
typedef struct mobilenet_outputs mobilenet_outputs;

/*
 Where and how to compute. Fill it by `mobilenet_options_init`, then change what you like. Later versions may add fields at
 the end; programs and libraries of different versions go together.
 */
typedef struct mobilenet_options {
  /*
   `sizeof` of this struct as the caller knows it; set by `mobilenet_options_init`.
   */
  uint32_t struct_size;
  /*
   A `mobilenet_precision`.
   */
  uint32_t precision;
  /*
   Most pictures in one job; 1 at the beginning.
   */
  uint32_t batch;
  /*
   Jobs that can be under way at one time; 2 at the beginning.
   */
  uint32_t in_flight;
  /*
   Height of the network's input; 0 is the model's own.
   */
  uint32_t height;
  /*
   Width of the network's input; 0 is the model's own.
   */
  uint32_t width;
  /*
   Compute on the CPU, whatever adapters there are.
   */
  bool cpu;
  /*
   Compute on the CPU if there is no adapter; true at the beginning.
   */
  bool fallback;
  /*
   Part of an adapter's name, or its index; may be NULL.
   */
  const char *adapter;
  /*
   Backends to look at, such as "vulkan" or "metal,dx12"; may be NULL.
   */
  const char *backend;
  /*
   Names of the outputs, such as "logits", "probabilities", "embedding", "features"; may be NULL for a classifier's
   logits and probabilities.
   */
  const char *const *outputs;
  /*
   Number of names.
   */
  size_t output_count;
} mobilenet_options;

/*
 A picture in memory: RGBA, 8 bits a channel, rows from the top. It is copied.
 */
typedef struct mobilenet_pixels {
  /*
   The pixels.
   */
  const uint8_t *rgba;
  /*
   Pixels in a row.
   */
  uint32_t width;
  /*
   Rows.
   */
  uint32_t height;
  /*
   Bytes from one row to the next; 0 is 4 times the width.
   */
  size_t row_bytes;
} mobilenet_pixels;

/*
 Told how a job ended, once, on a thread of the library's: `outputs` are the callee's to free on MOBILENET_STATUS_OK, else
 NULL and `message` (valid during the call) says why.
 */
typedef void (*mobilenet_callback)(void *user_data,
                                   enum mobilenet_status status,
                                   struct mobilenet_outputs *outputs,
                                   const char *message);

/*
 An output: `[batch][height][width][channels]`. Lives as long as the outputs that it is of.
 */
typedef struct mobilenet_tensor {
  /*
   Its name.
   */
  const char *name;
  /*
   Its values.
   */
  const float *data;
  /*
   Pictures.
   */
  uint32_t batch;
  /*
   Rows.
   */
  uint32_t height;
  /*
   Columns.
   */
  uint32_t width;
  /*
   Channels.
   */
  uint32_t channels;
} mobilenet_tensor;

/*
 A class and its probability.
 */
typedef struct mobilenet_prediction {
  /*
   The model's own output index.
   */
  size_t index;
  /*
   In 0..1.
   */
  float probability;
  /*
   The class's name; lives as long as the outputs.
   */
  const char *label;
} mobilenet_prediction;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 All adapters, the best first, as a JSON array of objects with `index`, `name`, `backend`, `device_type`, `driver` and
 limits. `backend` may be NULL. Free the text by `mobilenet_string_free`.
 */
enum mobilenet_status mobilenet_adapters_json(const char *backend,
                                              char **json);

/*
 Frees text that this library gave to be freed. NULL does nothing.
 */
void mobilenet_string_free(char *text);

/*
 Opens a checkpoint: a .safetensors file, or a folder with model.safetensors. `options` may be NULL.
 */
enum mobilenet_status mobilenet_open(const char *path,
                                     const struct mobilenet_options *options,
                                     struct mobilenet_classifier **classifier);

/*
 Opens a checkpoint in memory, which is copied; `config_json` (the text of a config.json) and `options` may be NULL.
 */
enum mobilenet_status mobilenet_open_bytes(const uint8_t *bytes,
                                           size_t count,
                                           const char *config_json,
                                           const struct mobilenet_options *options,
                                           struct mobilenet_classifier **classifier);

/*
 Frees a classifier; its jobs and outputs stay good. NULL does nothing.
 */
void mobilenet_free(struct mobilenet_classifier *classifier);

/*
 Height and width of the network's input.
 */
enum mobilenet_status mobilenet_input_size(const struct mobilenet_classifier *classifier,
                                           uint32_t *height,
                                           uint32_t *width);

/*
 What computes: adapter, backend and driver. Lives as long as the classifier; NULL only for NULL.
 */
const char *mobilenet_backend(const struct mobilenet_classifier *classifier);

/*
 Number of classes; 0 for a model without a classifier.
 */
size_t mobilenet_class_count(const struct mobilenet_classifier *classifier);

/*
 Name of a class. Lives as long as the classifier; NULL if there is no such class.
 */
const char *mobilenet_label(const struct mobilenet_classifier *classifier, size_t index);

/*
 Runs any number of pictures, which are resized, cropped and normalised as the model wants them, and waits.
 */
enum mobilenet_status mobilenet_run(struct mobilenet_classifier *classifier,
                                    const struct mobilenet_pixels *pictures,
                                    size_t count,
                                    struct mobilenet_outputs **outputs);

/*
 Runs normalised values, `[batch][height][width][3]`, at the network's size, and waits.
 */
enum mobilenet_status mobilenet_run_tensor(struct mobilenet_classifier *classifier,
                                           const float *data,
                                           uint32_t batch,
                                           struct mobilenet_outputs **outputs);

/*
 Sets pictures going, at most as many as the options' `batch`, and does not wait.
 */
enum mobilenet_status mobilenet_submit(struct mobilenet_classifier *classifier,
                                       const struct mobilenet_pixels *pictures,
                                       size_t count,
                                       struct mobilenet_job **job);

/*
 The outputs, if they are there: MOBILENET_STATUS_PENDING if not yet. Never waits. They come once; free the job afterwards.
 */
enum mobilenet_status mobilenet_job_poll(struct mobilenet_job *job,
                                         struct mobilenet_outputs **outputs);

/*
 Waits for the outputs and frees the job, whatever comes.
 */
enum mobilenet_status mobilenet_job_wait(struct mobilenet_job *job,
                                         struct mobilenet_outputs **outputs);

/*
 Frees a job, done or not; an unfinished one is given up. NULL does nothing.
 */
void mobilenet_job_free(struct mobilenet_job *job);

/*
 As `mobilenet_submit`, and calls `callback` with `user_data` on a thread of the library's when the job has ended. It is
 called exactly once if this returns MOBILENET_STATUS_OK, else never.
 */
enum mobilenet_status mobilenet_run_async(struct mobilenet_classifier *classifier,
                                          const struct mobilenet_pixels *pictures,
                                          size_t count,
                                          mobilenet_callback callback,
                                          void *user_data);

/*
 Fills `options`, which has `struct_size` bytes, with what is usual: `mobilenet_options_init(&options, sizeof options)`.
 */
enum mobilenet_status mobilenet_options_init(struct mobilenet_options *options,
                                             size_t struct_size);

/*
 Number of outputs.
 */
size_t mobilenet_output_count(const struct mobilenet_outputs *outputs);

/*
 The output at `index`.
 */
enum mobilenet_status mobilenet_output_at(const struct mobilenet_outputs *outputs,
                                          size_t index,
                                          struct mobilenet_tensor *tensor);

/*
 The output called `name`, such as "logits" or "embedding".
 */
enum mobilenet_status mobilenet_output(const struct mobilenet_outputs *outputs,
                                       const char *name,
                                       struct mobilenet_tensor *tensor);

/*
 The most probable classes of picture `picture`, the most probable first: at most `capacity` of them are written to
 `predictions`, and their number to `count`.
 */
enum mobilenet_status mobilenet_top(const struct mobilenet_outputs *outputs,
                                    size_t picture,
                                    struct mobilenet_prediction *predictions,
                                    size_t capacity,
                                    size_t *count);

/*
 Frees outputs. NULL does nothing.
 */
void mobilenet_outputs_free(struct mobilenet_outputs *outputs);

/*
 What the last call on this thread that failed had to say; empty if none has. Valid until the next one fails here.
 */
const char *mobilenet_last_error(void);

/*
 `MOBILENET_ABI_VERSION` of the library that is loaded.
 */
uint32_t mobilenet_abi_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MOBILENET_H */
