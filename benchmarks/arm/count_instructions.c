/* A plugin of qemu's TCG: counts the instructions that a program executes, and its vector multiply-adds.
 *
 *   qemu-aarch64 -plugin ./count_instructions.so,out=counts.txt PROGRAM...
 *
 * writes a line "mark N M" whenever the program closes the file number -4242, which no file has (run_network.py):
 * instructions and multiply-adds so far; "clock N M" whenever it asks for the time, as plans do between their nodes;
 * and "end N M" when it ends. Counts are exact for one thread. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t instructions;
static uint64_t multiply_adds;
static FILE *output;

enum { CLOSE = 57, CLOCK_GETTIME = 113, MARK = -4242 }; /* system calls of aarch64's Linux */

/* FMLA and FMLS, by vector or by element, of single, double or half precision (Arm ARM, C4.1). */
static bool is_of_floats(uint32_t code) {
    bool by_vector = (code & 0xBF20FC00u) == 0x0E20CC00u || (code & 0xBF60FC00u) == 0x0E400C00u;
    bool by_element = (code & 0xBF80B400u) == 0x0F801000u || (code & 0xBFC0B400u) == 0x0F001000u;
    return by_vector || by_element;
}

/* Products of 8- or 16-bit integers: SDOT, UDOT, USDOT, SMMLA and its kin, SMLAL and UMLAL, by vector or by element. */
static bool is_of_integers(uint32_t code) {
    bool dot = (code & 0x9FE0F400u) == 0x0E809400u || (code & 0x9FC0F400u) == 0x0F80E000u;
    bool mixed = (code & 0xBF40F400u) == 0x0F00F000u;
    bool matrices = (code & 0xDFE0F400u) == 0x4E80A400u;
    bool widening = (code & 0x9F20FC00u) == 0x0E208000u || (code & 0x9F00F400u) == 0x0F002000u;
    return dot || mixed || matrices || widening;
}

static bool is_multiply_add(uint32_t code) { return is_of_floats(code) || is_of_integers(code); }

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    size_t count = qemu_plugin_tb_n_insns(block);
    size_t products = 0;
    (void)id;
    for (size_t i = 0; i < count; ++i) {
        uint32_t code;
        memcpy(&code, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof code);
        products += is_multiply_add(code);
    }
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &instructions, count);
    if (products > 0) {
        qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &multiply_adds, products);
    }
}

static void write_counts(const char *name) {
    fprintf(output, "%s %" PRIu64 " %" PRIu64 "\n", name, instructions, multiply_adds);
    fflush(output);
}

static void called(qemu_plugin_id_t id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number == CLOCK_GETTIME) {
        write_counts("clock");
    } else if (number == CLOSE && (int32_t)a1 == MARK) {
        write_counts("mark");
    }
}

static void finished(qemu_plugin_id_t id, void *data) {
    (void)id;
    (void)data;
    write_counts("end");
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    if (strcmp(info->target_name, "aarch64") != 0) {
        fprintf(stderr, "count_instructions: made for aarch64, not %s\n", info->target_name);
        return -1;
    }
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "out=", 4) != 0 || output != NULL) {
            fprintf(stderr, "count_instructions: expected out=FILE, got %s\n", argv[i]);
            return -1;
        }
        output = fopen(argv[i] + 4, "w");
        if (output == NULL) {
            perror(argv[i] + 4);
            return -1;
        }
    }
    if (output == NULL) {
        output = stderr;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
