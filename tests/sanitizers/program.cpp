// SPDX-License-Identifier: MIT
//
// A user's program: plain code on every way to read, publish and free, without a word about
// sanitizers, for run_test.py to build and run under each of them.
//
//   program plain     everything right: no tool may report anything
//   program race      the updater does not wait for the reader before it changes the old object
//   program escaped   a reader uses an object after its section, and after the updater freed it
//   program deleter   a deleter and the main thread share a counter, without rcu_barrier
//   program forks     children of a program with readers
//
// Threads tell each other how far they are through rcu_pointer::get, which orders nothing.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

namespace {

constexpr int updates = 20;
constexpr int reads = 200;

// With something behind it that only its pointer leads to.
struct config {
    explicit config(int value) : limit(value), more(std::make_unique<int>(value)) {}
    int limit;
    std::unique_ptr<int> more;
};

std::atomic<config*> current{new config(0)};

int read_config() {
    std::scoped_lock section(nmircu::rcu_default_domain());
    sched_yield();  // for what is published now, after the section began
    const config* const seen = nmircu::rcu_dereference(current);
    return seen->limit - *seen->more;
}

void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "program: %s\n", what);
    std::_Exit(3);
}

struct readers {
    std::vector<std::thread> threads;

    template <class Body>
    explicit readers(Body body) {
        for (int i = 0; i < 2; ++i) {
            threads.emplace_back([=] {
                for (int round = 0; round < reads; ++round) {
                    body();
                    if (round % 16 == 0) sched_yield();
                }
            });
        }
    }
    ~readers() {
        for (auto& thread : threads)
            thread.join();
    }
};

config* replace_config(int value) {
    config* const old = current.load(std::memory_order_relaxed);
    nmircu::rcu_assign_pointer(current, new config(value));
    return old;
}

// A store that the compiler keeps, although the object is deleted next.
void poison(int& value, int with) {
    value = with;
    asm volatile("" : : "r"(&value) : "memory");
}

void change_and_delete(config* old) {
    poison(old->limit, -1);
    poison(*old->more, -2);
    delete old;
}

void read_right() {
    require(read_config() == 0, "a reader saw a config that had been freed");
}

void synchronize_and_delete() {
    readers all(read_right);
    for (int i = 0; i < updates; ++i) {
        config* const old = replace_config(i);
        nmircu::rcu_synchronize();
        change_and_delete(old);
    }
}

void poll_and_delete() {
    readers all(read_right);
    for (int i = 0; i < updates; ++i) {
        config* const old = replace_config(i);
        const nmircu::rcu_cookie cookie = nmircu::rcu_poll_start();
        if (i % 2 == 0) {
            while (!nmircu::rcu_poll_passed(cookie))
                sched_yield();
        } else {
            nmircu::rcu_poll_wait(cookie);
        }
        change_and_delete(old);
    }
}

// Two threads that synchronize at once share grace periods.
void several_updaters() {
    readers all(read_right);
    std::mutex one_at_a_time;
    const auto update = [&] {
        for (int i = 0; i < updates; ++i) {
            config* old = nullptr;
            {
                std::scoped_lock lock(one_at_a_time);
                old = replace_config(i);
            }
            nmircu::rcu_synchronize();
            change_and_delete(old);
        }
    };
    std::thread other(update);
    update();
    other.join();
}

int deleted = 0;  // by deleters, which run one at a time; by others after rcu_barrier

struct retiring : nmircu::rcu_obj_base<retiring, void (*)(retiring*)> {
    explicit retiring(int value) : limit(value) {}
    int limit;
};
nmircu::rcu_pointer<retiring> kept{new retiring(0)};

void delete_retiring(retiring* object) {
    poison(object->limit, -1);
    ++deleted;
    delete object;
}

struct called {
    nmircu::rcu_head head;
    int value;
};

void delete_called(nmircu::rcu_head* head) {
    called* const object = reinterpret_cast<called*>(head);
    deleted += object->value;
    delete object;
}

void retire_one_of_each(int i) {
    retiring* const old = kept.exchange(new retiring(i));
    require(old->limit >= 0, "an updater saw an object after its deleter");
    old->retire(delete_retiring);
    nmircu::rcu_call((new called{{}, 1})->head, delete_called);
    int* const number = new int(i);
    nmircu::rcu_retire(number, [](int* p) {
        poison(*p, -1);
        ++deleted;
        delete p;
    });
}

// Two updaters; and each object's deleter runs on the library's thread, or below rcu_barrier.
void retire_everything() {
    deleted = 0;
    {
        readers all([] {
            std::scoped_lock section(nmircu::rcu_default_domain());
            sched_yield();
            require(kept.dereference()->limit >= 0, "a reader saw an object after its deleter");
        });
        const auto update = [] {
            for (int i = 0; i < updates; ++i)
                retire_one_of_each(i);
        };
        std::thread other(update);
        update();
        other.join();
        // It says nothing of what the deleters did.
        while (nmircu::rcu_read_statistics().backlog != 0)
            sched_yield();
        nmircu::rcu_barrier();
        require(deleted == 6 * updates, "rcu_barrier returned before the deleters");
        update();
        nmircu::rcu_barrier();
        require(deleted == 9 * updates, "rcu_barrier returned before its own deleters");
    }
}

void in_handler(int) {
    read_right();
}

void read_in_handlers() {
    struct sigaction action = {};
    action.sa_handler = in_handler;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    readers all([] {
        raise(SIGUSR1);
        read_right();
    });
    for (int i = 0; i < updates; ++i) {
        for (auto& reader : all.threads)
            pthread_kill(reader.native_handle(), SIGUSR1);
        config* const old = replace_config(i);
        nmircu::rcu_synchronize();
        change_and_delete(old);
    }
}

// What a handler of the chain wrote is the remover's to read.
int on_nmi(void* cookie, nmircu::pt_regs*, int) {
    ++*static_cast<int*>(cookie);
    return 1;
}

void swap_nmi_handlers() {
    nmircu::nmi_attach();
    for (int i = 0; i < 5; ++i) {
        int hits = 0;
        {
            nmircu::nmi_handler handler;
            require(handler.add(nmircu::nmi_type::local, "hits", on_nmi, &hits) ==
                        nmircu::nmi_error::none,
                    "cannot add a handler");
            std::thread([] { nmircu::nmi_raise_self(); }).join();
        }
        require(hits <= 1, "too many NMIs");
    }
}

void plain() {
    synchronize_and_delete();
    poll_and_delete();
    several_updaters();
    retire_everything();
    read_in_handlers();
    swap_nmi_handlers();
    delete current.load(std::memory_order_relaxed);
    delete kept.get();
}

// Says that the other thread is there, and nothing about what it did before.
int here;
nmircu::rcu_pointer<int> arrived;

void wait_for_arrival() {
    while (arrived.get() == nullptr)
        sched_yield();
}

void race() {
    std::thread reader([] {
        read_right();
        arrived.assign(&here);
    });
    wait_for_arrival();
    config* const old = replace_config(1);
    // nmircu::rcu_synchronize() is missing.
    change_and_delete(old);
    reader.join();
}

void escaped() {
    const config* seen = nullptr;
    {
        std::scoped_lock section(nmircu::rcu_default_domain());
        seen = nmircu::rcu_dereference(current);
    }
    std::thread([] {
        config* const old = replace_config(1);
        nmircu::rcu_synchronize();
        delete old;
    }).join();
    std::printf("%d\n", seen->limit);
}

void deleter() {
    nmircu::rcu_retire(new int(1), [](int* p) {
        ++deleted;
        delete p;
        arrived.assign(&here);
    });
    wait_for_arrival();
    // nmircu::rcu_barrier() is missing.
    std::printf("%d\n", deleted);
}

void forks() {
    readers all(read_right);
    for (int i = 0; i < 5; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            config* const old = replace_config(i);
            nmircu::rcu_synchronize();
            change_and_delete(old);
            read_right();
            _exit(0);
        }
        int status = 0;
        require(waitpid(child, &status, 0) == child && status == 0, "a forked child failed");
    }
}

}  // namespace

int main(int argc, char** argv) {
    const char* const mode = argc > 1 ? argv[1] : "";
    if (std::strcmp(mode, "plain") == 0) {
        plain();
    } else if (std::strcmp(mode, "race") == 0) {
        race();
    } else if (std::strcmp(mode, "escaped") == 0) {
        escaped();
    } else if (std::strcmp(mode, "deleter") == 0) {
        deleter();
    } else if (std::strcmp(mode, "forks") == 0) {
        forks();
    } else {
        std::fputs("usage: program plain|race|escaped|deleter|forks\n", stderr);
        return 2;
    }
    std::puts("ended well");
}
