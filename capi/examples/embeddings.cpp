// Embeddings of a batch of pictures in C++: classes that own their handles, statuses as exceptions.
//
//   c++ -std=c++17 embeddings.cpp -lmobilenet -o embeddings && ./embeddings MODEL [cpu]
#include <mobilenet.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace mobilenet {

inline void check(mobilenet_status status) {
  if (status != MOBILENET_STATUS_OK) throw std::runtime_error(mobilenet_last_error());
}

struct Free {
  void operator()(mobilenet_classifier *handle) const { mobilenet_free(handle); }
  void operator()(mobilenet_outputs *handle) const { mobilenet_outputs_free(handle); }
  void operator()(char *text) const { mobilenet_string_free(text); }
};

class Outputs {
 public:
  explicit Outputs(mobilenet_outputs *handle) : handle_(handle) {}
  mobilenet_tensor get(const char *name) const {
    mobilenet_tensor tensor;
    check(mobilenet_output(handle_.get(), name, &tensor));
    return tensor;
  }

 private:
  std::unique_ptr<mobilenet_outputs, Free> handle_;
};

class Classifier {
 public:
  Classifier(const std::string &path, const mobilenet_options &options) {
    mobilenet_classifier *handle = nullptr;
    check(mobilenet_open(path.c_str(), &options, &handle));
    handle_.reset(handle);
  }
  Outputs run(const std::vector<mobilenet_pixels> &pictures) {
    mobilenet_outputs *outputs = nullptr;
    check(mobilenet_run(handle_.get(), pictures.data(), pictures.size(), &outputs));
    return Outputs(outputs);
  }
  // Normalised values, [batch][height][width][3].
  Outputs run(const std::vector<float> &values, std::uint32_t batch) {
    mobilenet_outputs *outputs = nullptr;
    check(mobilenet_run_tensor(handle_.get(), values.data(), batch, &outputs));
    return Outputs(outputs);
  }
  std::size_t pixels() const {
    std::uint32_t height = 0, width = 0;
    check(mobilenet_input_size(handle_.get(), &height, &width));
    return std::size_t(height) * width;
  }

 private:
  std::unique_ptr<mobilenet_classifier, Free> handle_;
};

}  // namespace mobilenet

static float cosine(const float *a, const float *b, std::uint32_t n) {
  float ab = 0, aa = 0, bb = 0;
  for (std::uint32_t i = 0; i < n; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

int main(int argc, char **argv) try {
  if (argc < 2) throw std::runtime_error("usage: embeddings MODEL [cpu]");
  char *json = nullptr;
  mobilenet::check(mobilenet_adapters_json(nullptr, &json));
  std::unique_ptr<char, mobilenet::Free> adapters(json);
  std::printf("adapters: %s\n", adapters.get());

  const char *names[] = {"embedding"};
  mobilenet_options options;
  mobilenet::check(mobilenet_options_init(&options, sizeof options));
  options.cpu = argc > 2 && std::strcmp(argv[2], "cpu") == 0;
  options.batch = 2;
  options.outputs = names;
  options.output_count = 1;
  mobilenet::Classifier classifier(argv[1], options);

  // Three pictures, the first and the last of them alike: more than a batch holds.
  const std::uint32_t side = 64;
  std::vector<std::vector<std::uint8_t>> memory;
  std::vector<mobilenet_pixels> pictures;
  for (int shade : {40, 200, 41}) {
    std::vector<std::uint8_t> rgba(side * side * 4);
    for (std::size_t i = 0; i < rgba.size(); i++) rgba[i] = std::uint8_t(i % 7 == 0 ? 255 - shade : shade);
    memory.push_back(std::move(rgba));
    pictures.push_back({memory.back().data(), side, side, 0});
  }
  const auto outputs = classifier.run(pictures);
  const auto embedding = outputs.get("embedding");
  const std::uint32_t n = embedding.channels;
  const float alike = cosine(embedding.data, embedding.data + 2 * n, n), different = cosine(embedding.data, embedding.data + n, n);
  std::printf("%u embeddings of %u values: alike %.4f, different %.4f\n", embedding.batch, n, alike, different);

  const auto blank = classifier.run(std::vector<float>(classifier.pixels() * 3), 1);
  return embedding.batch == 3 && alike > different && blank.get("embedding").batch == 1 ? 0 : 1;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
