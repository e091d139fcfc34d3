"""All fault runs by name. The short forms are tests, the long ones `make chaos`."""

from chaos import brokers, databases, loads, services
from chaos.scenario import Scale, Scenario

SCENARIOS = {
    "service killed after receive": Scenario(services.killed_at(services.after_receive), long=Scale(times=5)),
    "service killed before commit": Scenario(services.killed_at(services.before_commit), long=Scale(times=5)),
    "service killed after commit, before ack": Scenario(services.killed_at(services.after_commit), long=Scale(times=5)),
    "service killed after ack, before publish": Scenario(
        services.killed_at(services.after_acknowledgement), long=Scale(times=5)
    ),
    "service killed at random moments": Scenario(services.killed_at_any_moment, short=None, long=Scale(times=30)),
    "service frozen, wakes after its successor": Scenario(services.frozen_and_replaced),
    "service frozen, wakes alone": Scenario(services.frozen_alone, short=Scale(seconds=2), long=Scale(seconds=30)),
    "database crashed": Scenario(databases.crashed, long=Scale(times=5)),
    "database frozen": Scenario(databases.frozen, short=Scale(seconds=3), long=Scale(seconds=30)),
    "database cut in mid-COPY": Scenario(databases.cut_in_mid_copy, short=Scale(times=3), long=Scale(times=20)),
    "database cut at the answer to COMMIT": Scenario(
        databases.cut_at_the_answer_to_commit, short=None, long=Scale(times=20)
    ),
    "database half-open": Scenario(databases.half_open, short=None),
    "database read-only": Scenario(databases.read_only, long=Scale(seconds=10)),
    "database out of disk": Scenario(databases.out_of_disk, long=Scale(seconds=10), database="postgresql"),
    "database deadlock": Scenario(databases.deadlock, long=Scale(times=5)),
    "broker restarted": Scenario(brokers.restarted, long=Scale(times=5, seconds=3)),
    "broker restarted without its memory": Scenario(brokers.restarted_without_memory, long=Scale(times=5)),
    "broker killed": Scenario(brokers.killed, short=None, long=Scale(times=5)),
    "broker half-open": Scenario(brokers.half_open, long=Scale(times=3)),
    "broker session taken over": Scenario(brokers.taken_over, long=Scale(times=5)),
    "poison in a batch of 10,000": Scenario(loads.poison),
    "outage of the database under load": Scenario(
        loads.outage, short=Scale(seconds=2, rate=1000), long=Scale(seconds=120, rate=5000)
    ),
}
