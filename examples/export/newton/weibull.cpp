// Weibull's distribution fitted to times to failure: Newton's method with the exported gradient and Hessian.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "weibull.h"

namespace {

// A function of the bundle for some times, with the workspace that it needs.
template <std::size_t size, auto function, auto workspace_bytes>
class Exported {
public:
    explicit Exported(const std::vector<double> &times) : times(times)
    {
        const int64_t bytes = workspace_bytes(length());
        if (bytes < 0) {
            throw std::runtime_error("there are no times");
        }
        workspace.resize(static_cast<std::size_t>(bytes));
    }

    std::array<double, size> operator()(const std::array<double, 2> &parameters)
    {
        std::array<double, size> out;
        const int status = function(parameters.data(), times.data(), out.data(), length(), workspace.data());
        if (status != NUMR_OK) {
            throw std::runtime_error("status " + std::to_string(status));
        }
        return out;
    }

private:
    int64_t length() const { return static_cast<int64_t>(times.size()); }

    const std::vector<double> &times;
    std::vector<char> workspace = std::vector<char>(1);
};

// Ball bearings: millions of revolutions before they failed (Lieblein and Zelen, 1956).
const std::vector<double> failures = {
    17.88, 28.92, 33.00, 41.52, 42.12, 45.60, 48.48, 51.84, 51.96, 54.12, 55.56, 67.80,
    68.64, 68.64, 68.88, 84.12, 93.12, 98.64, 105.12, 105.84, 127.92, 128.04, 173.40};

}  // namespace

int main()
try {
    Exported<2, weibull_gradient, weibull_gradient_workspace> gradient(failures);
    Exported<4, weibull_hessian, weibull_hessian_workspace> hessian(failures);
    Exported<1, weibull_value, weibull_value_workspace> value(failures);

    std::array<double, 2> x = {0.0, std::log(70.0)};
    double change = 1;
    int steps = 0;
    for (; change > 1e-12 && steps < 50; ++steps) {
        const auto g = gradient(x);
        const auto h = hessian(x);
        const double determinant = h[0] * h[3] - h[1] * h[2];
        const std::array<double, 2> step = {
            (h[3] * g[0] - h[1] * g[1]) / determinant,
            (h[0] * g[1] - h[2] * g[0]) / determinant,
        };
        x[0] -= step[0];
        x[1] -= step[1];
        change = std::max(std::abs(step[0]), std::abs(step[1]));
    }
    std::printf(
        "%zu bearings, %d steps, shape %.12f, scale %.12f, misfit %.12f\n",
        failures.size(), steps, std::exp(x[0]), std::exp(x[1]), value(x)[0]);
    return change > 1e-12;
} catch (const std::exception &problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 1;
}
