// Copyright 2026 tasktp_ros contributors
//
// Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
// the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
// an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
// specific language governing permissions and limitations under the License.

// Gradients of a weighted sum of table rows, for training on a CPU (see row_gradients.py).

#include <torch/extension.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace {

inline float widen(float value) { return value; }

// bfloat16 as its bits: the upper half of a float32.
inline float widen(uint16_t value) {
  const uint32_t bits = uint32_t(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

struct Sizes {
  int64_t bags, members, dim;
};

// kDim > 0 is the row length known at compile time, which lets the inner loops become vector instructions.
template <typename Value, typename Index, int64_t kDim>
void accumulate(const Value* grad, const Index* rows, const Value* table, const Value* weights, float* table_grad,
                float* weight_grad, const Sizes& sizes) {
  const int64_t dim = kDim ? kDim : sizes.dim;
  std::vector<float> buffer(dim);
  float* __restrict bag_grad = buffer.data();
  for (int64_t bag = 0; bag < sizes.bags; ++bag) {
    for (int64_t d = 0; d < dim; ++d) bag_grad[d] = widen(grad[bag * dim + d]);
    for (int64_t member = 0; member < sizes.members; ++member) {
      const int64_t at = bag * sizes.members + member;
      const Value* __restrict row = table + int64_t(rows[at]) * dim;
      float* __restrict row_grad = table_grad + int64_t(rows[at]) * dim;
      const float weight = widen(weights[at]);
      for (int64_t d = 0; d < dim; ++d) row_grad[d] += weight * bag_grad[d];
      if (weight_grad == nullptr) continue;
      float product = 0.0f;
      for (int64_t d = 0; d < dim; ++d) product += bag_grad[d] * widen(row[d]);
      weight_grad[at] = product;
    }
  }
}

template <typename Value, typename Index>
void dispatch(const torch::Tensor& grad, const torch::Tensor& rows, const torch::Tensor& table,
              const torch::Tensor& weights, float* table_grad, float* weight_grad) {
  const Sizes sizes{rows.size(0), rows.size(1), table.size(1)};
  const auto run = sizes.dim == 32 ? accumulate<Value, Index, 32> : accumulate<Value, Index, 0>;
  run(static_cast<const Value*>(grad.data_ptr()), static_cast<const Index*>(rows.data_ptr()),
      static_cast<const Value*>(table.data_ptr()), static_cast<const Value*>(weights.data_ptr()), table_grad,
      weight_grad, sizes);
}

// grad (K, D), rows (K, M), table (R, D), weights (K, M) -> float32 gradients of table and, if asked for, of weights.
std::vector<torch::Tensor> backward(torch::Tensor grad, torch::Tensor rows, torch::Tensor table, torch::Tensor weights,
                                    bool needs_weights) {
  const bool half = table.scalar_type() == torch::kBFloat16;
  TORCH_CHECK(half || table.scalar_type() == torch::kFloat, "rows must be float32 or bfloat16");
  TORCH_CHECK(grad.scalar_type() == table.scalar_type() && weights.scalar_type() == table.scalar_type(),
              "gradient, table and weights must have one type");
  grad = grad.contiguous(), rows = rows.contiguous(), table = table.contiguous(), weights = weights.contiguous();
  auto table_grad = torch::zeros(table.sizes(), torch::kFloat);
  auto weight_grad = torch::empty(needs_weights ? weights.sizes() : torch::IntArrayRef{0}, torch::kFloat);
  const bool narrow = rows.scalar_type() == torch::kInt;
  TORCH_CHECK(narrow || rows.scalar_type() == torch::kLong, "row numbers must be int32 or int64");
  const auto run = half ? (narrow ? dispatch<uint16_t, int32_t> : dispatch<uint16_t, int64_t>)
                        : (narrow ? dispatch<float, int32_t> : dispatch<float, int64_t>);
  run(grad, rows, table, weights, table_grad.data_ptr<float>(), needs_weights ? weight_grad.data_ptr<float>() : nullptr);
  return {table_grad, weight_grad};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
  module.def("backward", &backward, py::call_guard<py::gil_scoped_release>());
}
