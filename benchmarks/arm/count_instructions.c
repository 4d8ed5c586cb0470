/* A plugin of qemu's TCG: counts the instructions that a program executes, and its vector multiply-adds.
 *
 *   qemu-aarch64 -plugin ./count_instructions.so,out=counts.txt PROGRAM...
 *
 * writes "instructions N" and "multiply_adds M" when the program ends. Counts are exact for one thread. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t instructions;
static uint64_t multiply_adds;
static char path[4096];

/* FMLA and FMLS, by vector or by element, of single or double precision (Arm ARM, C4.1). */
static bool is_multiply_add(uint32_t code) {
    bool by_vector = (code & 0xBF20FC00u) == 0x0E20CC00u;
    bool by_element = (code & 0xBF80B400u) == 0x0F801000u;
    return by_vector || by_element;
}

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

static void finished(qemu_plugin_id_t id, void *data) {
    FILE *file = path[0] ? fopen(path, "w") : stderr;
    (void)id;
    (void)data;
    if (file == NULL) {
        perror(path);
        return;
    }
    fprintf(file, "instructions %" PRIu64 "\nmultiply_adds %" PRIu64 "\n", instructions, multiply_adds);
    if (file != stderr) {
        fclose(file);
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    if (strcmp(info->target_name, "aarch64") != 0) {
        fprintf(stderr, "count_instructions: made for aarch64, not %s\n", info->target_name);
        return -1;
    }
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "out=", 4) != 0 || strlen(argv[i] + 4) >= sizeof path) {
            fprintf(stderr, "count_instructions: expected out=FILE, got %s\n", argv[i]);
            return -1;
        }
        strcpy(path, argv[i] + 4);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
