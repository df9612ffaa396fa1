// SPDX-License-Identifier: MIT
//
// A program for Node to attach to; see threads.cpp. Workers compute, the main thread waits in
// epoll_wait and is woken by timers, files are read by the pool's threads.
const fs = require('fs');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

function roundOfWork(seed) {
    const counts = {};
    const numbers = [];
    for (let i = 0; i < 2000; ++i) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        numbers.push(seed);
        counts[seed % 97] = (counts[seed % 97] || 0) + 1;
    }
    numbers.sort((a, b) => a - b);
    try {
        null.nothing();
    } catch (thrown) {
        counts[thrown.name] = numbers[1000];
    }
    return JSON.stringify(counts);
}

function wrong(what) {
    fs.writeSync(2, `WRONG: ${what}\n`);
    process.exit(1);
}

if (isMainThread) {
    const ready = process.argv.at(-1);
    let working = 0;
    for (let seed = 1; seed <= 2; ++seed) {
        const worker = new Worker(__filename, { workerData: seed });
        worker.on('message', () => { if (++working === 2) fs.writeFileSync(ready, ''); });
        worker.on('error', (error) => wrong(error));
    }
    const own = fs.readFileSync(__filename, 'utf8');
    const again = () => fs.readFile(__filename, 'utf8', (error, text) => {
        if (error || text !== own) wrong(error || 'a file');
        setTimeout(again, 1);
    });
    again();
    process.stdin.on('end', () => process.exit(0));
    process.stdin.resume();
} else {
    const expected = roundOfWork(workerData);
    parentPort.postMessage('working');
    while (roundOfWork(workerData) === expected) {
    }
    wrong('a result');
}
