/* The read-out of a tile on a GPU: noise, conversion, shift and add, one thread for each sample and output.
 *
 * `kernels/gpu.py` calls it; `kernels/loops.py` does the same on the host. Numbers are float32, strides are in elements.
 * Compile without contraction (--fmad=false): codes then come out as on the host, to the bit. As plain C, with loops in
 * place of threads, it compiles for the host too: the tests compare the two there.
 */
#ifdef __CUDACC_RTC__
#define FUNCTION static __device__ __forceinline__
#define KERNEL extern "C" __global__ void
#define EACH_SAMPLE(r, n) for (int r = blockIdx.x * blockDim.x + threadIdx.x; r < (n); r += gridDim.x * blockDim.x)
#define EACH_COLUMN(k, n) for (int k = blockIdx.y; k < (n); k += gridDim.y)
#else
#include <math.h>
#define FUNCTION static inline
#define KERNEL void
#define EACH_SAMPLE(r, n) for (int r = 0; r < (n); r++)
#define EACH_COLUMN(k, n) for (int k = 0; k < (n); k++)
#endif

typedef unsigned int word;

/* Gaussian noise of a stream: variance by sample and column; the key of the stream; first sample and turn. */
typedef struct {
    const float *variance;
    long long by_sample, by_column;
    word key[4], row, turn;
} Noise;

/* Even codes where there are no edges, else codes by comparison: see `kernels/laws.py`. */
typedef struct {
    const float *scale, *shift, *step, *first, *edges, *values;
    const long long *lines;
    int top;
} Law;

/* Philox 4x32-10: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011. */
FUNCTION void philox(word c[4], word k0, word k1)
{
    for (int round = 0; round < 10; round++) {
        unsigned long long p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
        c[0] = (word)(p1 >> 32) ^ c[1] ^ k0;
        c[2] = (word)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (word)p1;
        c[3] = (word)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* One of the two normal numbers of two words: Box and Muller, Ann. Math. Stat. 29, 610 (1958). */
FUNCTION float normal(word a, word b, int second)
{
    float u = ((float)(a >> 8) + 0.5f) * 0x1p-24f;
    float angle = 6.283185307f * ((float)(int)b * 0x1p-32f);
    return sqrtf(-2.0f * logf(u)) * (second ? sinf(angle) : cosf(angle));
}

/* Columns q, q + n / 4, ... of a sample share a counter: its four words make their normal numbers. */
FUNCTION float noisy(float i, const Noise *noise, int sample, int column, int columns)
{
    if (!noise->variance)
        return i;
    int quarter = (columns + 3) / 4, j = column / quarter;
    word c[4] = {noise->row + sample, (word)(column % quarter) | noise->turn << 20, noise->key[0], noise->key[1]};
    philox(c, noise->key[2], noise->key[3]);
    float variance = noise->variance[sample * noise->by_sample + column * noise->by_column];
    return i + sqrtf(variance) * (j < 2 ? normal(c[0], c[1], j % 2) : normal(c[2], c[3], j % 2));
}

/* What the code of a current means; all bits one after the other from the highest where codes are compared. */
FUNCTION float converted(float i, const Law *law, int column)
{
    if (law->edges) {
        const float *edges = law->edges + law->lines[column] * law->top;
        int code = 0;
        for (int bit = (law->top + 1) / 2; bit; bit /= 2)
            code += i >= edges[code + bit - 1] ? bit : 0;
        return law->values[law->lines[column] * (law->top + 1) + code];
    }
    if (!law->scale)
        return i;
    float code = fminf(fmaxf(floorf(i * law->scale[column] + law->shift[column]), 0.0f), (float)law->top);
    return law->first[column] + law->step[column] * code;
}

/* The signals of one column of a sample, through noise and converters, times their worths. */
FUNCTION float total(const float *i, long long by_column, const float *worths, int signals, int columns, int column,
                   const Law *law, const Noise *cells, const Noise *converters, int sample)
{
    float sum = 0.0f;
    for (int s = 0; s < signals; s++) {
        int c = s * columns + column, all = signals * columns;
        float current = noisy(i[c * by_column], cells, sample, c, all);
        sum += converted(noisy(current, converters, sample, c, all), law, c) * worths[s];
    }
    return sum;
}

#define NOISE_ARGUMENTS(of)                                                                          \
    const float *of##_variance, long long of##_by_sample, long long of##_by_column, word of##_k0,    \
        word of##_k1, word of##_k2, word of##_k3, word of##_row, word of##_turn
#define NOISE(of)                                                                                    \
    {of##_variance, of##_by_sample, of##_by_column, {of##_k0, of##_k1, of##_k2, of##_k3}, of##_row, of##_turn}

/* Adds what currents `(samples, signals * columns)` are worth to outputs `(samples, columns - reference)`. */
KERNEL read_out(float *y, long long y_by_sample, long long y_by_output, const float *i, long long i_by_sample,
                long long i_by_column, int samples, int columns, const float *worths, int signals, int reference,
                float worth, const float *scale, const float *shift, const float *step, const float *first,
                const float *edges, const float *values, const long long *lines, int top, NOISE_ARGUMENTS(cells),
                NOISE_ARGUMENTS(adc))
{
    Law law = {scale, shift, step, first, edges, values, lines, top};
    Noise cells = NOISE(cells), adc = NOISE(adc);
    EACH_SAMPLE(r, samples) EACH_COLUMN(k, columns - reference)
    {
        const float *own = i + r * i_by_sample;
        float sum = total(own, i_by_column, worths, signals, columns, k, &law, &cells, &adc, r);
        if (reference)
            sum -= total(own, i_by_column, worths, signals, columns, columns - 1, &law, &cells, &adc, r);
        y[r * y_by_sample + k * y_by_output] += sum * worth;
    }
}

/* Adds noise to numbers `(samples, columns)`. */
KERNEL add_noise(float *x, long long by_sample, long long by_column, int samples, int columns, NOISE_ARGUMENTS(its))
{
    Noise its = NOISE(its);
    EACH_SAMPLE(r, samples) EACH_COLUMN(k, columns)
    {
        float *one = x + r * by_sample + k * by_column;
        *one = noisy(*one, &its, r, k, columns);
    }
}
