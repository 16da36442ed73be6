/* Classifies a generated picture in every way that the library offers: waiting, by polling, and by a callback.
 *
 *   cc classify.c -lmobilenet -o classify && ./classify MODEL [cpu]
 */
#include <mobilenet.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 240, TOP = 3 };

static int failed(const char *what) {
  fprintf(stderr, "%s: %s\n", what, mobilenet_last_error());
  return 1;
}

static int print(const mobilenet_outputs *outputs) {
  mobilenet_prediction top[TOP];
  size_t count = 0;
  if (mobilenet_top(outputs, 0, top, TOP, &count) != MOBILENET_STATUS_OK) return failed("top");
  for (size_t i = 0; i < count; i++) printf("%6.2f %%  %s\n", top[i].probability * 100.0, top[i].label);
  return count == TOP ? 0 : 1;
}

/* What the callback leaves for the thread that waits. */
struct ended {
  atomic_int done;
  mobilenet_status status;
  mobilenet_outputs *outputs;
};

static void on_ended(void *user_data, mobilenet_status status, mobilenet_outputs *outputs, const char *message) {
  struct ended *ended = user_data;
  if (status != MOBILENET_STATUS_OK) fprintf(stderr, "callback: %s\n", message);
  ended->status = status;
  ended->outputs = outputs;
  atomic_store(&ended->done, 1);
}

/* The same result as `expected`, bit for bit; frees `outputs`. */
static int same(mobilenet_outputs *outputs, const mobilenet_outputs *expected) {
  mobilenet_tensor a, b;
  int same = mobilenet_output(outputs, "logits", &a) == MOBILENET_STATUS_OK &&
             mobilenet_output(expected, "logits", &b) == MOBILENET_STATUS_OK && a.channels == b.channels &&
             memcmp(a.data, b.data, a.channels * sizeof *a.data) == 0;
  mobilenet_outputs_free(outputs);
  if (!same) fprintf(stderr, "the results differ\n");
  return same ? 0 : 1;
}

static int run(mobilenet_classifier *classifier, const mobilenet_pixels *picture) {
  mobilenet_outputs *first = NULL, *outputs = NULL;
  if (mobilenet_run(classifier, picture, 1, &first) != MOBILENET_STATUS_OK) return failed("run");
  int bad = print(first);

  mobilenet_job *job = NULL;
  if (mobilenet_submit(classifier, picture, 1, &job) != MOBILENET_STATUS_OK) return failed("submit");
  mobilenet_status status;
  while ((status = mobilenet_job_poll(job, &outputs)) == MOBILENET_STATUS_PENDING) {
    /* An application draws its frame here. */
  }
  mobilenet_job_free(job);
  if (status != MOBILENET_STATUS_OK) return failed("poll");
  bad |= same(outputs, first);

  struct ended ended;
  memset(&ended, 0, sizeof ended);
  if (mobilenet_run_async(classifier, picture, 1, on_ended, &ended) != MOBILENET_STATUS_OK) return failed("run_async");
  while (!atomic_load(&ended.done)) {
  }
  bad |= ended.status == MOBILENET_STATUS_OK ? same(ended.outputs, first) : 1;
  mobilenet_outputs_free(first);
  return bad;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: classify MODEL [cpu]\n");
    return 2;
  }
  if (mobilenet_abi_version() < MOBILENET_ABI_VERSION) {
    fprintf(stderr, "the library is older than its header\n");
    return 1;
  }
  mobilenet_options options;
  if (mobilenet_options_init(&options, sizeof options) != MOBILENET_STATUS_OK) return failed("options");
  options.cpu = argc > 2 && strcmp(argv[2], "cpu") == 0;
  mobilenet_classifier *classifier = NULL;
  if (mobilenet_open(argv[1], &options, &classifier) != MOBILENET_STATUS_OK) return failed("open");
  printf("on %s, %zu classes\n", mobilenet_backend(classifier), mobilenet_class_count(classifier));

  uint8_t *rgba = malloc((size_t)WIDTH * HEIGHT * 4);
  if (rgba == NULL) return 1;
  for (int i = 0; i < WIDTH * HEIGHT; i++) {
    rgba[4 * i] = (uint8_t)(i % WIDTH / 2);
    rgba[4 * i + 1] = (uint8_t)(i / WIDTH);
    rgba[4 * i + 2] = 120;
    rgba[4 * i + 3] = 255;
  }
  mobilenet_pixels picture = {rgba, WIDTH, HEIGHT, 0};
  int bad = run(classifier, &picture);

  /* Mistakes are told, not crashed on. */
  if (mobilenet_options_init(&options, 3) != MOBILENET_STATUS_INVALID_ARGUMENT) bad = 1;
  mobilenet_outputs *none = NULL;
  if (mobilenet_run(classifier, NULL, 1, &none) != MOBILENET_STATUS_INVALID_ARGUMENT || none != NULL) bad = 1;
  if (mobilenet_run(NULL, &picture, 1, &none) != MOBILENET_STATUS_INVALID_ARGUMENT || *mobilenet_last_error() == 0) bad = 1;
  mobilenet_classifier *missing = NULL;
  if (mobilenet_open("no such file", NULL, &missing) != MOBILENET_STATUS_FILE || missing != NULL) bad = 1;

  mobilenet_free(classifier);
  free(rgba);
  return bad;
}
