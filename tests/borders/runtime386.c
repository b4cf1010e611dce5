/* Asks a 386-capable linux kernel for what a 386 runtime asks for, in its order, from mallocinit to the first
 * object, and says how it ended: the number of reservations tried and the runtime's words. With an argument it
 * shows its own mappings instead. Built without a C library, so that its address space is a Go program's. */

#define MB (1UL << 20)

extern char end[]; /* firstmoduledata.end */

static long call(long n, long a, long b, long c)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
	return r;
}

static unsigned long map(unsigned long at, unsigned long size, long prot, long flags)
{
	long arguments[6] = {(long)at, (long)size, prot, flags, -1, 0};
	return (unsigned long)call(90, (long)arguments, 0, 0); /* the old mmap takes its arguments in memory */
}

static int refused(unsigned long p) { return p > -4096UL; }

static void say(const char *words, int tries)
{
	char line[128];
	int n = 0;
	if (tries >= 100) line[n++] = '0' + tries / 100;
	line[n++] = '0' + tries % 10;
	line[n++] = ' ';
	while (*words) line[n++] = *words++;
	line[n++] = '\n';
	call(4, 1, (long)line, n);
	call(1, 0, 0, 0);
}

static void show_maps(void)
{
	char text[4096];
	long file = call(5, (long)"/proc/self/maps", 0, 0), n;
	while ((n = call(3, file, (long)text, sizeof text)) > 0) call(4, 1, (long)text, n);
	call(1, 0, 0, 0);
}

enum { NONE = 0, RW = 3, ANON = 0x22, FIXED = 0x32 };

static const char *map_words = "runtime: out of memory", *alloc_words = "runtime: cannot allocate memory";

void start(long *stack)
{
	static const unsigned long arenas[] = {512 * MB, 256 * MB, 128 * MB, 0};
	unsigned long hint, size = 0, p = 0, bitmap, used, limit, bits;
	int tries = 0;

	if (stack[0] > 1) show_maps();
	hint = ((unsigned long)end + (1 << 18) + MB - 1) & -MB;
	for (; tries < 4; tries++) {
		size = 256 * MB + 2 * MB + arenas[tries] + 8192;
		p = map(hint, size, NONE, ANON);
		if (!refused(p)) break;
	}
	if (tries == 4) say("runtime: cannot reserve arena virtual address space", 4);
	tries++;
	if (refused(map(0, 256 << 10, RW, ANON))) say(alloc_words, tries);
	bitmap = used = ((p + 8191) & -8192UL) + 258 * MB;
	limit = p + size;
	if (limit - used < MB) {
		unsigned long more = map(limit, 256 * MB, NONE, ANON);
		if (refused(more)) more = map(limit, 256 * MB, NONE, ANON);
		if (refused(more)) say("out of memory", tries);
		if (more != limit) used = (more + 8191) & -8192UL;
	}
	if (refused(map(used, MB, RW, FIXED))) say(map_words, tries);
	bits = ((used + MB) / 16 + 8191) & -8192UL;
	if (refused(map(bitmap - bits, bits, RW, FIXED))) say(map_words, tries);
	if (refused(map(p, ((used + MB) / 8192 * 4 + 4095) & -4096UL, RW, FIXED))) say(map_words, tries);
	if (refused(map(0, 64 << 10, RW, ANON))) say(alloc_words, tries); /* allspans */
	if (refused(map(0, 64 << 10, RW, ANON))) say(alloc_words, tries); /* mark bits */
	if (refused(map(0, 256 << 10, RW, ANON))) say(alloc_words, tries); /* the P's own chunk */
	say("alive", tries);
}

__asm__(".globl _start\n_start:\n\tmovl %esp, %eax\n\tpushl %eax\n\tcall start\n");
