// SPDX-License-Identifier: MIT
//
// A Java program to attach to; see threads.cpp. Its virtual machine compiles while it runs, collects
// garbage, and stops threads at safepoints by signals and protected pages of its own.
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

class Threads {
    static long deep(Object nothing, int depth) {
        return depth == 0 ? nothing.hashCode() : deep(nothing, depth - 1) + 1;
    }

    static long roundOfWork(int seed) {
        Map<String, Integer> counts = new HashMap<>();
        int[] numbers = new int[2000];
        for (int i = 0; i < numbers.length; ++i) {
            seed = seed * 1664525 + 1013904223;
            numbers[i] = seed;
            counts.merge(Integer.toString(seed % 97), 1, Integer::sum);
        }
        Arrays.sort(numbers);
        long sum = numbers[1000];
        try {
            deep(null, 20);
        } catch (NullPointerException thrown) { // found by a SIGSEGV
            sum += 7;
        }
        for (Map.Entry<String, Integer> one : counts.entrySet())
            sum += (long) one.getKey().hashCode() * one.getValue();
        return sum;
    }

    public static void main(String[] arguments) throws Exception {
        CountDownLatch working = new CountDownLatch(4);
        for (int i = 1; i <= 4; ++i) {
            final int seed = i;
            Thread thread = new Thread(() -> {
                long expected = roundOfWork(seed);
                working.countDown();
                while (roundOfWork(seed) == expected) {
                }
                System.err.println("WRONG: a result");
                Runtime.getRuntime().halt(1);
            });
            thread.setDaemon(true);
            thread.start();
        }
        working.await();
        new java.io.File(arguments[arguments.length - 1]).createNewFile();
        while (System.in.read() >= 0) {
        }
    }
}
