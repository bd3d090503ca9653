/* How a chain hangs: Newton's method on its energy, with the exported gradient and Hessian. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "chain.h"

static const double stiffness = 2.0, weight = 1.0;

static void stop(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void *memory(int64_t bytes)
{
    void *made = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (!made) {
        stop("out of memory");
    }
    return made;
}

/* b becomes the solution of a x = b by Cholesky's method, and a its factor; 0 if a is not positive definite. */
static int solve(double *a, double *b, int64_t n)
{
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j <= i; ++j) {
            double sum = a[i * n + j];
            for (int64_t k = 0; k < j; ++k) {
                sum -= a[i * n + k] * a[j * n + k];
            }
            if (i == j && !(sum > 0)) {
                return 0;
            }
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    }
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t k = 0; k < i; ++k) {
            b[i] -= a[i * n + k] * b[k];
        }
        b[i] /= a[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; --i) {
        for (int64_t k = i + 1; k < n; ++k) {
            b[i] -= a[k * n + i] * b[k];
        }
        b[i] /= a[i * n + i];
    }
    return 1;
}

int main(int count, char **arguments)
{
    const int64_t n = count > 1 ? atol(arguments[1]) : 19;
    const int64_t needs[] = {chain_value_workspace(n), chain_gradient_workspace(n), chain_hessian_workspace(n)};
    int64_t most = 0;
    for (int k = 0; k < 3; ++k) {
        if (needs[k] < 0) {
            stop("the chain needs a mass at least");
        }
        most = needs[k] > most ? needs[k] : most;
    }
    const int64_t all = 2 * n, row = all * (int64_t)sizeof(double);
    void *workspace = memory(most);
    double *x = memory(row), *tried = memory(row), *gradient = memory(row), *step = memory(row);
    double *hessian = memory(row * all);
    for (int64_t k = 0; k < n; ++k) {
        x[2 * k] = (double)(k + 1) / (double)(n + 1);
        x[2 * k + 1] = 0;
    }
    int steps = 0;
    double size = 1, value, lower;
    while (size > 1e-12 && steps < 50) {
        if (chain_value(x, &stiffness, &weight, &value, n, workspace)
            || chain_gradient(x, &stiffness, &weight, gradient, n, workspace)
            || chain_hessian(x, &stiffness, &weight, hessian, n, workspace)) {
            stop("a function refused its arguments");
        }
        for (int64_t k = 0; k < all; ++k) {
            step[k] = gradient[k];
        }
        if (!solve(hessian, step, all)) {
            stop("the Hessian is not positive definite");
        }
        size = 0;
        for (int64_t k = 0; k < all; ++k) {
            size = fmax(size, fabs(step[k]));
        }
        /* A step that goes too far is halved. */
        for (double length = 1; length > 1e-6; length /= 2) {
            for (int64_t k = 0; k < all; ++k) {
                tried[k] = x[k] - length * step[k];
            }
            if (chain_value(tried, &stiffness, &weight, &lower, n, workspace)) {
                stop("a function refused its arguments");
            }
            if (lower <= value + 1e-14 * fabs(value)) {
                break;
            }
        }
        for (int64_t k = 0; k < all; ++k) {
            x[k] = tried[k];
        }
        ++steps;
    }
    double lowest = 0;
    for (int64_t k = 0; k < n; ++k) {
        lowest = fmin(lowest, x[2 * k + 1]);
    }
    printf("%lld masses, %d steps, energy %.12f, lowest point %.12f\n", (long long)n, steps, lower, lowest);
    free(workspace);
    free(x);
    free(tried);
    free(gradient);
    free(step);
    free(hessian);
    return size > 1e-12;
}
