// Batch norm followed by an optional ReLU6, forward and backward, in two passes over memory each.
//
// PyTorch on a CPU spends more time in these element-wise passes than in the convolutions: five passes forward and
// eight backward, one thread, f32 inside. Here activations are bfloat16 in NHWC order (`channels_last`), sums are f32
// in blocks and f64 across them, and the input of the ReLU6 is computed again in the backward pass instead of kept.
//
// Rows of C channels are taken in groups so that the inner loops are at least 64 long and a multiple of 16, which is what
// makes the compiler vectorise them without a rest; every coefficient is repeated to that length.

#include <torch/extension.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

using torch::Tensor;
using Floats = std::vector<float>;

static inline float widen(uint16_t v) {
    uint32_t bits = uint32_t(v) << 16;
    float f;
    __builtin_memcpy(&f, &bits, 4);
    return f;
}

static inline uint16_t narrow(float f) { // round to nearest, ties to even; no NaN comes here
    uint32_t bits;
    __builtin_memcpy(&bits, &f, 4);
    return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

struct Rows {
    int64_t channels, count, period; // period: channels times the rows taken together
    explicit Rows(const Tensor& x) : channels(x.size(1)), count(x.numel() / x.size(1)) {
        TORCH_CHECK(x.scalar_type() == torch::kBFloat16 && x.is_contiguous(at::MemoryFormat::ChannelsLast),
                    "batch_norm takes bfloat16 in channels_last order");
        int64_t together = std::max<int64_t>(1, (64 + channels - 1) / channels);
        while (channels * together % 16) together++;
        period = channels * together;
    }
    int64_t elements() const { return count * channels; }
    Floats repeat(const Floats& v) const {
        Floats out(period);
        for (int64_t i = 0; i < period; i++) out[i] = v[i % channels];
        return out;
    }
};

static const uint16_t* data(const Tensor& t) { return reinterpret_cast<const uint16_t*>(t.data_ptr<at::BFloat16>()); }
static uint16_t* data_mut(Tensor& t) { return reinterpret_cast<uint16_t*>(t.data_ptr<at::BFloat16>()); }

// Calls body(first element, length) for each group of rows and adds the f32 sums to f64 ones every 64 groups.
template <class Body>
static void sum_pairs(const Rows& rows, std::vector<double>& s0, std::vector<double>& s1, Body body) {
    Floats a(rows.period), b(rows.period);
    auto flush = [&] {
        for (int64_t i = 0; i < rows.period; i++) {
            s0[i % rows.channels] += a[i], s1[i % rows.channels] += b[i];
            a[i] = b[i] = 0;
        }
    };
    int64_t groups = 0;
    for (int64_t at = 0; at < rows.elements(); at += rows.period) {
        body(at, std::min(rows.period, rows.elements() - at), a.data(), b.data());
        if (++groups % 64 == 0) flush();
    }
    flush();
}

// Returns (y, mean [C], variance [C], biased).
std::tuple<Tensor, Tensor, Tensor> forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, bool relu6) {
    Rows rows(x);
    const uint16_t* in = data(x);
    const int64_t c = rows.channels;
    std::vector<double> sum(c), squares(c);
    sum_pairs(rows, sum, squares, [&](int64_t at, int64_t n, float* __restrict a, float* __restrict b) {
        const uint16_t* __restrict p = in + at;
        for (int64_t j = 0; j < n; j++) {
            float v = widen(p[j]);
            a[j] += v, b[j] += v * v;
        }
    });
    Tensor mean = torch::empty({c}), variance = torch::empty({c});
    Floats scale(c), shift(c);
    for (int64_t i = 0; i < c; i++) {
        double m = sum[i] / rows.count, v = std::max(0.0, squares[i] / rows.count - m * m);
        mean.data_ptr<float>()[i] = m, variance.data_ptr<float>()[i] = v;
        scale[i] = gamma.data_ptr<float>()[i] / std::sqrt(v + eps);
        shift[i] = beta.data_ptr<float>()[i] - m * scale[i];
    }
    Tensor y = torch::empty_like(x);
    uint16_t* out = data_mut(y);
    const Floats wide_scale = rows.repeat(scale), wide_shift = rows.repeat(shift);
    const float low = relu6 ? 0.f : -3e38f, high = relu6 ? 6.f : 3e38f;
    for (int64_t at = 0; at < rows.elements(); at += rows.period) {
        const int64_t n = std::min(rows.period, rows.elements() - at);
        const uint16_t* __restrict p = in + at;
        uint16_t* __restrict q = out + at;
        const float* __restrict s = wide_scale.data();
        const float* __restrict t = wide_shift.data();
        for (int64_t j = 0; j < n; j++) {
            float z = widen(p[j]) * s[j] + t[j];
            z = z > low ? z : low;
            q[j] = narrow(z < high ? z : high);
        }
    }
    return {y, mean, variance};
}

// Returns (gradient of x, of gamma, of beta).
std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& gradient, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                            const Tensor& mean, const Tensor& variance, double eps, bool relu6) {
    Rows rows(x);
    Tensor dy = gradient.contiguous(at::MemoryFormat::ChannelsLast);
    const uint16_t *in = data(x), *up = data(dy);
    const int64_t c = rows.channels;
    Floats scale(c), shift(c), inverse(c);
    for (int64_t i = 0; i < c; i++) {
        inverse[i] = 1 / std::sqrt(variance.data_ptr<float>()[i] + eps);
        scale[i] = gamma.data_ptr<float>()[i] * inverse[i];
        shift[i] = beta.data_ptr<float>()[i] - mean.data_ptr<float>()[i] * scale[i];
    }
    const Floats wide_scale = rows.repeat(scale), wide_shift = rows.repeat(shift);
    const float* __restrict s = wide_scale.data();
    const float* __restrict t = wide_shift.data();
    const float low = relu6 ? 0.f : -3e38f, high = relu6 ? 6.f : 3e38f;
    std::vector<double> sum(c), products(c);
    sum_pairs(rows, sum, products, [&](int64_t at, int64_t n, float* __restrict a, float* __restrict b) {
        const uint16_t* __restrict p = in + at;
        const uint16_t* __restrict g = up + at;
        for (int64_t j = 0; j < n; j++) {
            float v = widen(p[j]), z = v * s[j] + t[j];
            float d = (z > low) & (z < high) ? widen(g[j]) : 0.f;
            a[j] += d, b[j] += d * v;
        }
    });
    Tensor dgamma = torch::empty({c}), dbeta = torch::empty({c});
    Floats slope(c), offset(c); // dx = scale * d + slope * x + offset
    for (int64_t i = 0; i < c; i++) {
        double m = mean.data_ptr<float>()[i], dg = (products[i] - m * sum[i]) * inverse[i];
        dgamma.data_ptr<float>()[i] = dg, dbeta.data_ptr<float>()[i] = sum[i];
        slope[i] = -scale[i] * dg * inverse[i] / rows.count;
        offset[i] = -slope[i] * m - scale[i] * sum[i] / rows.count;
    }
    Tensor dx = torch::empty_like(x);
    uint16_t* out = data_mut(dx);
    const Floats wide_slope = rows.repeat(slope), wide_offset = rows.repeat(offset);
    const float* __restrict k = wide_slope.data();
    const float* __restrict o = wide_offset.data();
    for (int64_t at = 0; at < rows.elements(); at += rows.period) {
        const int64_t n = std::min(rows.period, rows.elements() - at);
        const uint16_t* __restrict p = in + at;
        const uint16_t* __restrict g = up + at;
        uint16_t* __restrict q = out + at;
        for (int64_t j = 0; j < n; j++) {
            float v = widen(p[j]), z = v * s[j] + t[j];
            float d = (z > low) & (z < high) ? widen(g[j]) : 0.f;
            q[j] = narrow(s[j] * d + k[j] * v + o[j]);
        }
    }
    return {dx, dgamma, dbeta};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("forward", &forward, pybind11::call_guard<pybind11::gil_scoped_release>());
    m.def("backward", &backward, pybind11::call_guard<pybind11::gil_scoped_release>());
}
