# How far apart the scheduled runs of the reconciliation are. reconciliation.overdue_hours must be longer: main.tf checks it.
#
# The result is a lower bound of the longest time between two runs. Forms of cron(...) that are not parsed here count as a
# run at each of their possible times, so that they never fail the plan.

locals {
  # Not null in the variable, because Terraform replaces a null attribute with its default.
  schedule = module.inputs.reconciliation.schedule == "none" ? null : module.inputs.reconciliation.schedule

  # "rate(12 hours)" is ["12", "hour"], and rate_hours is 12.
  rate       = one(regexall("^rate\\(([0-9]+) (minute|hour|day)", module.inputs.reconciliation.schedule))
  rate_hours = try(local.rate[0] * { minute = 1, hour = 60, day = 1440 }[local.rate[1]] / 60, null)

  cron = one(regexall("^cron\\((?P<minutes>\\S+) (?P<hours>\\S+) (?P<days>\\S+) \\S+ (?P<weekdays>\\S+) ", module.inputs.reconciliation.schedule))

  # "MON-WED,6" is [[2, 4], [6]] as ranges, and [2, 3, 4, 6] as weekdays. Both are [] for other forms, such as 6L or FRI-MON.
  weekday_numbers = { SUN = 1, MON = 2, TUE = 3, WED = 4, THU = 5, FRI = 6, SAT = 7 }
  weekday_ranges = try([
    for days in split(",", upper(local.cron.weekdays)) :
    [for day in split("-", days) : tonumber(lookup(local.weekday_numbers, day, day))]
  ], [])
  weekdays = alltrue([for days in local.weekday_ranges : days[0] <= days[length(days) - 1]]) ? sort(distinct(flatten([
    for days in local.weekday_ranges : range(days[0], days[length(days) - 1] + 1)
  ]))) : []

  # The longest time between two days with runs: of the weekdays, up to the first one of the next week. n days of the month
  # are at least 28/n apart.
  weekday_gaps      = [for index, day in local.weekdays : try(local.weekdays[index + 1], local.weekdays[0] + 7) - day]
  month_day_gap     = try(ceil(28 / length(split(",", regex("^[0-9LW,]+$", local.cron.days)))), 1)
  days_between_runs = max(concat(local.weekday_gaps, [local.month_day_gap])...)

  # The runs of one day are within these hours.
  hours_of_a_day = max(can(tonumber(local.cron.hours)) ? 0 : 24, can(tonumber(local.cron.minutes)) ? 0 : 1)

  hours_between_runs = local.rate != null ? local.rate_hours : local.days_between_runs * 24 - local.hours_of_a_day
}
